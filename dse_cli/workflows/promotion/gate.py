"""The gate: measure candidate and baseline on the holdout, and say what that shows.

One measurement is one look; whoever calls :func:`run_gate` records it, whatever came of it (law 8).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import InfrastructureError
from dse_cli.contracts.history import GateEvidence, GateMode
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.gate.guards import guard_results
from dse_cli.evaluation.gate.non_inferiority import NonInferiorityFinding, finding_text
from dse_cli.evaluation.gate.resources import saving_results
from dse_cli.evaluation.gate.row_measures import owed_rewards, row_measures
from dse_cli.evaluation.gate.verdict import conclude, gate_line
from dse_cli.evaluation.statistics.paired_test import (
    look_level,
    mean_lower_bound,
    paired_test,
    pairs_of,
)
from dse_cli.registry.history import looks, read_records
from dse_cli.workflows.evals.evaluate import summary_of
from dse_cli.workflows.promotion.gate_checks import check_gate, unmeasured
from dse_cli.workflows.session import RunOptions, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.contracts.history import GuardResult, PairedTest, Verdict
    from dse_cli.evaluation.gate.row_measures import RowMeasures
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy

_OUTAGE_HINT: Final = (
    "an outage is not a wrong answer, and nothing was seen: this is no look; run it again"
)


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
    return looks(read_records(store), rows_hash(holdout)) + 1


async def run_gate(
    inputs: JobInputs,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    holdout: tuple[Row, ...],
    options: RunOptions,
    *,
    mode: GateMode = "superiority",
) -> GateRun:
    """Measure both policies on the holdout rows and decide.

    Raises:
        SpecError: the holdout is too small, or a rule of ``dse.yaml`` could not be measured;
            nothing was measured, and this is no look.
        InfrastructureError: too many outages; nothing can be said.
    """
    look = next_look(inputs.store, holdout)
    check_gate(inputs, candidate, baseline, look, mode)
    rollouts = inputs.project.spec.gate.rollouts
    async with open_session(
        inputs.catalog, inputs.reward, options, seed=inputs.job.seed, judges=inputs.judges
    ) as session:
        measured: list[list[Cell]] = []
        try:
            for named in (candidate, baseline):
                cells = await session.engine.evaluate(
                    Candidate.of(named.policy),
                    holdout,
                    rollouts=rollouts,
                    label=f"holdout: {named.label}",
                )
                measured.append(cells)
        except InfrastructureError as error:
            if type(error) is InfrastructureError:  # the engine's, whose hint is for a compile
                error.hint = _OUTAGE_HINT
            raise
    searched = None if candidate.artifact is None else candidate.artifact.evaluation.mean
    look_at = Look(inputs, holdout, look, mode, searched)
    return GateRun(look_at.evidence(*measured), session.gateway.meter.paid.calls)


@dataclass(frozen=True)
class Look:
    """One look at a holdout, measured and not yet decided.

    Attributes:
        inputs: policy of the gate, seed, hashes.
        holdout: the rows.
        number: which look this is, from 1.
        mode: what has to be shown.
        searched: what the search said of the candidate on val, or None.
    """

    inputs: JobInputs
    holdout: tuple[Row, ...]
    number: int
    mode: GateMode
    searched: float | None

    def evidence(self, candidate: list[Cell], baseline: list[Cell]) -> GateEvidence:
        """Test and decide: a pure function of the cells."""
        inputs, policy = self.inputs, self.inputs.project.spec.gate
        ours = summary_of(inputs, candidate, self.holdout, "holdout")
        theirs = summary_of(inputs, baseline, self.holdout, "holdout")
        left, right = row_measures(candidate), row_measures(baseline)
        comparison = paired_test(
            ours.rows, theirs.rows, groups=self._groups, seed=inputs.job.seed, level=self._level
        )
        guards = self._guards(left, right)
        second = self._non_inferiority(left, right)
        decision = conclude(
            comparison,
            policy,
            self.number,
            guards=guards,
            unmeasured=(
                *unmeasured(policy, left, right, self.mode),
                *self._owed(candidate, left, right),
            ),
            non_inferiority=second,
        )
        # Fields are set only where they say something, so that older records keep their bytes.
        extras: dict[str, Any] = {}
        if decision.reason is not None:
            extras["reason"] = decision.reason
        if guards:
            extras["guards"] = guards
        if second is not None:
            extras |= {
                "mode": self.mode,
                "lower_bound": second.lower_bound,
                "saving": second.savings,
            }
        return GateEvidence(
            verdict=decision.verdict,
            dataset_revision=inputs.dataset.revision,
            split_hash=rows_hash(self.holdout),
            reward_hash=inputs.reward.hash,
            models=tuple(sorted({*ours.models, *theirs.models})),
            look=self.number,
            alpha=policy.alpha,
            level=self._level,
            min_effect=policy.min_effect,
            margin=policy.margin,
            seed=inputs.job.seed,
            comparison=comparison,
            candidate=ours,
            baseline=theirs,
            line=self._line(comparison, decision.verdict, second),
            **extras,
        )

    @property
    def _groups(self) -> dict[str, str | None]:
        return {row.id: row.group for row in self.holdout}

    @property
    def _level(self) -> float:
        return look_level(self.inputs.project.spec.gate.alpha, self.number)

    def _guards(self, ours: RowMeasures, theirs: RowMeasures) -> tuple[GuardResult, ...]:
        policy = self.inputs.project.spec.gate
        return guard_results(
            ours,
            theirs,
            policy.guards,
            self.holdout,
            seed=self.inputs.job.seed,
            alpha=policy.alpha,
            allowed_loss=policy.margin if self.mode == "non_inferiority" else 0.0,
        )

    def _non_inferiority(
        self, ours: RowMeasures, theirs: RowMeasures
    ) -> NonInferiorityFinding | None:
        promise = self.inputs.project.spec.gate.non_inferiority
        if self.mode != "non_inferiority" or promise is None:
            return None
        differences = pairs_of(ours.rewards, theirs.rewards, self._groups).differences
        return NonInferiorityFinding(
            mean_lower_bound(differences, self._level) if differences else None,
            saving_results(
                ours,
                theirs,
                promise.saving,
                groups=self._groups,
                seed=self.inputs.job.seed,
                level=self._level,
            ),
        )

    def _owed(self, cells: list[Cell], ours: RowMeasures, theirs: RowMeasures) -> tuple[str, ...]:
        """Return that a promotion would rest on answers that the candidate did not give."""
        rewards = owed_rewards(cells, theirs.rewards)
        if rewards is None:
            return ()
        comparison = paired_test(
            rewards,
            theirs.rewards,
            groups=self._groups,
            seed=self.inputs.job.seed,
            level=self._level,
        )
        second = self._non_inferiority(replace(ours, rewards=rewards), theirs)
        policy = self.inputs.project.spec.gate
        if conclude(comparison, policy, self.number, non_inferiority=second).verdict == "promote":
            return ()
        left = gate_line(comparison, None)
        said = "the candidate has outages where the baseline answered, and counted as wrong they"
        return (f"{said} leave {left}",)

    def _line(
        self, comparison: PairedTest, verdict: Verdict, second: NonInferiorityFinding | None
    ) -> str:
        if second is None:
            return gate_line(comparison, self.searched, verdict=verdict)
        found = finding_text(second, self.inputs.project.spec.gate.margin)
        return f"{gate_line(comparison, self.searched)}; {found}"
