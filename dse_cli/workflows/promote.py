"""``dse promote`` and ``dse rollback``: measure on the holdout, decide, move the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import PointerMovedError, UsageError
from dse_cli.contracts.history import HISTORY_FORMAT, GateEvidence, HistoryRecord
from dse_cli.evaluation.statistics import look_level
from dse_cli.registry.history import (
    append,
    previous_promoted,
    read_history,
    standing_target,
)
from dse_cli.registry.pointer import move_pointer, recover
from dse_cli.workflows.gate import next_look, run_gate
from dse_cli.workflows.policies import NamedPolicy, find_policy

if TYPE_CHECKING:
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.session import RunOptions


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
    look = next_look(inputs.store, holdout)
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
    measured = await run_gate(inputs, candidate, baseline, holdout, options)
    evidence = measured.evidence
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
    return Promotion(evidence, record, candidate, baseline, measured.paid_calls)


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
