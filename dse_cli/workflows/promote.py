"""``dse promote`` and ``dse rollback``: measure on the holdout, decide, move the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import PointerMovedError, UsageError
from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.history import HISTORY_FORMAT, GateEvidence, HistoryRecord
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.gate import decide, gate_line
from dse_cli.evaluation.statistics import look_level, paired_test
from dse_cli.registry.history import (
    append,
    looks,
    previous_promoted,
    read_history,
    standing_target,
)
from dse_cli.registry.pointer import move_pointer, recover
from dse_cli.workflows.evaluate import summary_of
from dse_cli.workflows.policies import NamedPolicy, find_policy
from dse_cli.workflows.session import RunOptions, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class Promotion:
    """What the gate found and did.

    Attributes:
        evidence: what was measured and decided.
        record: the history record that was written.
        candidate, baseline: the policies compared.
        paid_calls: model calls that really left the machine.
    """

    evidence: GateEvidence
    record: HistoryRecord
    candidate: NamedPolicy
    baseline: NamedPolicy
    paid_calls: int

    @property
    def moved(self) -> bool:
        return self.record.event == "promote"


@dataclass(frozen=True)
class GatePlan:
    """What a look at the holdout would cost. Planning is not a look: nothing is measured.

    Attributes:
        rows: rows of the holdout.
        metric_calls: cells, both policies together.
        look: which look this would be, from 1.
        level: the level it would be tested at.
    """

    candidate: NamedPolicy
    baseline: NamedPolicy
    rows: int
    metric_calls: int
    look: int
    level: float


def is_active(inputs: JobInputs, word: str) -> bool:
    """Tell whether an artifact holds the very policy that is active: no gate is needed then."""
    store, signature = inputs.store, inputs.signature
    candidate = find_policy(store, signature, inputs.base, word)
    return candidate.policy.id == find_policy(store, signature, inputs.base, "active").policy.id


def plan_promotion(inputs: JobInputs, word: str) -> GatePlan:
    """Price the gate for an artifact without measuring anything."""
    candidate, baseline = _both(inputs, word)
    holdout = inputs.rows("holdout")
    look = _next_look(inputs.store, holdout)
    level = look_level(inputs.project.spec.gate.alpha, look)
    return GatePlan(candidate, baseline, len(holdout), 2 * len(holdout), look, level)


async def promote_policy(inputs: JobInputs, word: str, options: RunOptions) -> Promotion:
    """Run the gate for an artifact against the active policy, and move the pointer if it passes.

    The pointer moves by compare-and-swap: if another process moved it since it was measured
    against, nothing happens.

    Args:
        word: the artifact, by file name, id prefix or run prefix.

    Raises:
        UsageError: the candidate is the active policy, or a scripted model took part.
        NothingSelectedError: the dataset has no holdout.
        PointerMovedError: the pointer is no longer where it was.
    """
    store = inputs.store
    recover(store)
    candidate, baseline = _both(inputs, word)
    holdout = inputs.rows("holdout")
    evidence, paid = await _measure(inputs, candidate, baseline, holdout, options)
    if evidence.candidate.scripted or evidence.baseline.scripted:
        raise UsageError(
            "a scripted model answered: such evidence can never promote",
            hint="run the gate on the model that the policy pins",
        )
    record = _record(inputs, candidate, baseline, evidence)
    expected = None if baseline.ref.artifact is None else baseline.ref.compiled_id
    if record.event == "promote":
        try:
            record = move_pointer(store, expected, candidate.ref, record)
        except PointerMovedError as moved:
            # The holdout was opened, and each look is counted, whatever became of it (law 8).
            append(store, record.model_copy(update={"event": "refuse", "reason": moved.message}))
            raise
    else:
        record = append(store, record)
    return Promotion(evidence, record, candidate, baseline, paid)


def rollback_policy(store: SignatureStore, signature_id: str, *, reason: str) -> HistoryRecord:
    """Move the pointer to the previously promoted policy and record why.

    Raises:
        UsageError: there is nothing to roll back to.
    """
    history = read_history(store)
    target, current = previous_promoted(history), standing_target(history)
    record = HistoryRecord(
        format=HISTORY_FORMAT,
        sequence=1,
        event="rollback",
        signature_id=signature_id,
        source=current,
        target=target,
        reason=reason,
        gate=None,
        previous=None,
    )
    expected = None if current is None else current.compiled_id
    return move_pointer(store, expected, target, record)


def _both(inputs: JobInputs, word: str) -> tuple[NamedPolicy, NamedPolicy]:
    store, signature = inputs.store, inputs.signature
    candidate = find_policy(store, signature, inputs.base, word)
    baseline = find_policy(store, signature, inputs.base, "active")
    _refuse_hopeless(candidate, baseline)
    return candidate, baseline


def _next_look(store: SignatureStore, holdout: tuple[Row, ...]) -> int:
    return looks(read_history(store), rows_hash(holdout)) + 1


async def _measure(
    inputs: JobInputs,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    holdout: tuple[Row, ...],
    options: RunOptions,
) -> tuple[GateEvidence, int]:
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
    return evidence, session.gateway.meter.paid.calls


def _evidence(
    inputs: JobInputs,
    candidate: NamedPolicy,
    holdout: tuple[Row, ...],
    ours: EvalSummary,
    theirs: EvalSummary,
) -> GateEvidence:
    policy, store = inputs.project.spec.gate, inputs.store
    look = _next_look(store, holdout)
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


def _record(
    inputs: JobInputs, candidate: NamedPolicy, baseline: NamedPolicy, evidence: GateEvidence
) -> HistoryRecord:
    return HistoryRecord(
        format=HISTORY_FORMAT,
        sequence=1,
        event="promote" if evidence.verdict == "promote" else "refuse",
        signature_id=inputs.signature.id,
        source=baseline.ref,
        target=candidate.ref,
        reason=None,
        gate=evidence,
        previous=None,
    )


def _refuse_hopeless(candidate: NamedPolicy, baseline: NamedPolicy) -> None:
    if candidate.artifact is None:
        raise UsageError("the authored policy has no evidence to promote; use dse rollback")
    if candidate.policy.id == baseline.policy.id:
        raise UsageError("the candidate is the active policy: there is nothing to compare")
    evidence = candidate.artifact.evaluation
    if evidence.scripted or candidate.artifact.baseline.scripted:
        raise UsageError(
            "the artifact was compiled with a scripted model: it can never be promoted",
            hint="compile it again on a real model",
        )
