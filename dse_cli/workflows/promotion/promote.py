"""``dse promote``: measure on the holdout, decide, move the active pointer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from dse_cli.contracts.errors import StaleError
from dse_cli.evaluation.statistics.paired_test import look_level
from dse_cli.registry.history import append
from dse_cli.registry.pointer import move_pointer, read_active, recover
from dse_cli.workflows.policies import NamedPolicy, find_policy
from dse_cli.workflows.promotion.earlier_looks import earlier_looks
from dse_cli.workflows.promotion.gate import next_look
from dse_cli.workflows.promotion.gate_checks import check_gate
from dse_cli.workflows.promotion.look import (
    PLAIN_TERMS,
    GateTerms,
    Measured,
    counted,
    measure,
    refuse_hopeless,
)
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from dse_cli.contracts.history import GateEvidence, GateMode, HistoryRecord
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.session import RunOptions


@dataclass(frozen=True)
class Promotion:
    """What the gate found and did.

    Attributes:
        measured: what was measured and decided.
        record: the history record that was written.
        candidate, baseline: the policies compared.
    """

    measured: Measured
    record: HistoryRecord
    candidate: NamedPolicy
    baseline: NamedPolicy

    @property
    def moved(self) -> bool:
        """Whether the pointer moved, or the canary began."""
        return self.record.event == "promote"

    @property
    def paid_calls(self) -> int:
        """Model calls that really left the machine."""
        return self.measured.paid_calls

    @property
    def evidence(self) -> GateEvidence:
        """What was measured.

        Raises:
            ValueError: nothing was: an override did without.
        """
        if self.measured.evidence is None:
            raise ValueError("there is no evidence: the pointer moved by an override alone")
        return self.measured.evidence


@dataclass(frozen=True)
class GatePlan:
    """What a look at the holdout would cost. Planning is not a look: nothing is measured.

    Attributes:
        rows: rows of the holdout.
        metric_calls: cells, both policies together.
        look: which look this would be, from 1.
        level: the level it would be tested at.
        notes: what earlier looks have seen; see :func:`earlier_looks`.
    """

    candidate: NamedPolicy
    baseline: NamedPolicy
    rows: int
    metric_calls: int
    look: int
    level: float
    notes: tuple[str, ...] = ()


def is_active(inputs: JobInputs, word: str) -> bool:
    """Tell whether an artifact holds the very policy that is active: no gate is needed then."""
    store, signature = inputs.store, inputs.signature
    candidate = find_policy(store, signature, inputs.base, word)
    try:
        active = find_policy(store, signature, inputs.base, "active")
    except StaleError:
        return False
    return candidate.policy.id == active.policy.id


def refresh_policy(inputs: JobInputs, word: str) -> HistoryRecord | None:
    """Move the pointer to newer evidence of the policy that is active; no look is needed.

    The behaviour is the same, to the last byte of the prompt. What changes is which run vouches for
    it.

    Returns:
        The record; None when the artifact is the active one, or was not compiled on the dataset as
        it stands.

    Raises:
        PointerMovedError: the pointer is no longer where it was.
    """
    recover(inputs.store)
    candidate, active, expected = _both(inputs, word)
    artifact = candidate.artifact
    if artifact is None or candidate.policy.id != active.policy.id or candidate.ref == active.ref:
        return None
    if active.ref.artifact is None or artifact.evaluation.scripted:
        return None
    if artifact.provenance.dataset_revision != inputs.dataset.revision:
        return None
    record = new_record(
        "refresh", signature_id=inputs.signature.id, source=active.ref, target=candidate.ref
    )
    return move_pointer(inputs.store, expected, candidate.ref, record)


def plan_promotion(inputs: JobInputs, word: str, mode: GateMode = "superiority") -> GatePlan:
    """Price the gate for an artifact without measuring anything.

    Raises:
        UsageError, NothingSelectedError, SpecError: what the gate itself would refuse.
    """
    candidate, baseline, _ = _both(inputs, word)
    refuse_hopeless(candidate, baseline, name=inputs.name)
    holdout = inputs.rows("holdout")
    policy = inputs.project.spec.gate
    look = next_look(inputs.store, holdout)
    check_gate(inputs, candidate, baseline, look, mode)
    cells = 2 * len(holdout) * policy.rollouts
    level = look_level(policy.alpha, look)
    notes = earlier_looks(inputs, candidate, baseline)
    return GatePlan(candidate, baseline, len(holdout), cells, look, level, notes)


def look_notes(inputs: JobInputs, word: str) -> tuple[str, ...]:
    """Return what to know before the gate for an artifact opens the holdout.

    Raises:
        DseError: what the gate itself would refuse to read.
    """
    candidate, baseline, _ = _both(inputs, word)
    return earlier_looks(inputs, candidate, baseline)


async def promote_policy(
    inputs: JobInputs, word: str, options: RunOptions, terms: GateTerms = PLAIN_TERMS
) -> Promotion:
    """Run the gate for an artifact against the active policy, and move the pointer if it passes.

    The pointer moves by compare-and-swap: if another process moved it since it was measured
    against, nothing happens.

    Args:
        word: the artifact, by file name, id prefix or run prefix.
        terms: what has to be shown, and whether a person overrides the answer.

    Raises:
        UsageError: the candidate is the active policy, or a scripted model took part.
        NothingSelectedError: the dataset has no holdout.
        PointerMovedError: the pointer is no longer where it was; the look is recorded.
    """
    store = inputs.store
    recover(store)
    candidate, baseline, expected = _both(inputs, word)
    refuse_hopeless(candidate, baseline, name=inputs.name)
    measured = await measure(inputs, candidate, baseline, options, terms)
    parts: dict[str, Any] = {
        "signature_id": inputs.signature.id,
        "source": baseline.ref,
        "target": candidate.ref,
        "gate": measured.evidence,
    }
    override = terms.override if measured.overridden else None
    with counted(store, measured, parts):
        if measured.moves:
            move = new_record("promote", **parts, override=override)
            record = move_pointer(store, expected, candidate.ref, move)
        else:
            record = append(store, new_record("refuse", **parts))
    return Promotion(measured, record, candidate, baseline)


def expected_of(active: NamedPolicy) -> str | None:
    """Return where the pointer has to be for a move away from a policy."""
    return None if active.ref.artifact is None else active.ref.compiled_id


class _Both(NamedTuple):
    """Candidate and baseline, and where the pointer has to be for a move."""

    candidate: NamedPolicy
    baseline: NamedPolicy
    expected: str | None


def _both(inputs: JobInputs, word: str) -> _Both:
    """Return what to compare: a stale active policy cannot answer, the authored one stands in."""
    store, signature = inputs.store, inputs.signature
    candidate = find_policy(store, signature, inputs.base, word)
    try:
        active = find_policy(store, signature, inputs.base, "active")
    except StaleError:
        authored = find_policy(store, signature, inputs.base, "default")
        pointer = read_active(store)
        baseline = replace(authored, label=f"{authored.label} (the active policy is stale)")
        return _Both(candidate, baseline, pointer.compiled_id if pointer else None)
    return _Both(candidate, active, expected_of(active))
