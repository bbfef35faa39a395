"""The gate: measure candidate and baseline on the holdout, and say what that shows.

One measurement is one look; whoever calls :func:`run_gate` records it, whatever came of it (law 8).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.history import GateEvidence
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.gate import decide, gate_line
from dse_cli.evaluation.statistics import look_level, paired_test
from dse_cli.registry.history import looks, read_history
from dse_cli.workflows.evaluate import summary_of
from dse_cli.workflows.session import RunOptions, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy


@dataclass(frozen=True)
class GateRun:
    """One look at a holdout.

    Attributes:
        evidence: what was measured and decided.
        paid_calls: model calls that really left the machine.
    """

    evidence: GateEvidence
    paid_calls: int


def next_look(store: SignatureStore, holdout: tuple[Row, ...]) -> int:
    """Return which look at these holdout rows comes next, from 1."""
    return looks(read_history(store), rows_hash(holdout)) + 1


async def run_gate(
    inputs: JobInputs,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    holdout: tuple[Row, ...],
    options: RunOptions,
) -> GateRun:
    """Measure both policies on the holdout rows and decide.

    Raises:
        InfrastructureError: too many outages; nothing can be said.
    """
    async with open_session(
        inputs.catalog, inputs.reward, options, seed=inputs.job.seed
    ) as session:
        summaries: list[EvalSummary] = []
        for named in (candidate, baseline):
            cells = await session.engine.evaluate(
                Candidate.of(named.policy), holdout, label=f"holdout: {named.label}"
            )
            summaries.append(summary_of(inputs, cells, holdout, "holdout"))
    evidence = _evidence(inputs, candidate, holdout, summaries[0], summaries[1])
    return GateRun(evidence, session.gateway.meter.paid.calls)


def _evidence(
    inputs: JobInputs,
    candidate: NamedPolicy,
    holdout: tuple[Row, ...],
    ours: EvalSummary,
    theirs: EvalSummary,
) -> GateEvidence:
    policy, store = inputs.project.spec.gate, inputs.store
    look = next_look(store, holdout)
    comparison = paired_test(
        ours.rows,
        theirs.rows,
        groups={row.id: row.group for row in holdout},
        seed=inputs.job.seed,
        level=look_level(policy.alpha, look),
    )
    verdict, level = decide(comparison, policy, look)
    searched = None if candidate.artifact is None else candidate.artifact.evaluation.mean
    return GateEvidence(
        verdict=verdict,
        dataset_revision=inputs.dataset.revision,
        split_hash=rows_hash(holdout),
        reward_hash=inputs.reward.hash,
        models=tuple(sorted({*ours.models, *theirs.models})),
        look=look,
        alpha=policy.alpha,
        level=level,
        min_effect=policy.min_effect,
        margin=policy.margin,
        seed=inputs.job.seed,
        comparison=comparison,
        candidate=ours,
        baseline=theirs,
        line=gate_line(comparison, searched, verdict=verdict),
    )
