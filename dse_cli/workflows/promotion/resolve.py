"""``dse promote NAME --resolve``: two branches promoted; measure both policies and keep one.

Neither branch is the first or the second one: which policy is the baseline follows from what was
measured, so both people who run this after their merge get the same answer. The baseline is the
policy whose gate saw the higher holdout mean, ties by id. The other one has to beat it.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import StaleError, UsageError
from dse_cli.registry.history import (
    moves_active,
    read_branches,
    read_records,
    standing_target,
)
from dse_cli.registry.pointer import recover
from dse_cli.registry.resolve import in_conflict, refuse_edits, resolve_branches, settle
from dse_cli.workflows.policies import NamedPolicy, find_policy
from dse_cli.workflows.promotion.look import (
    PLAIN_TERMS,
    GateTerms,
    Measured,
    counted,
    measure,
)
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from dse_cli.contracts.history import HistoryRecord, PolicyRef
    from dse_cli.registry.history import Branch
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.session import RunOptions


@dataclass(frozen=True)
class Side:
    """One branch, and the policy that stands at its end.

    Attributes:
        ref: how the record names that policy.
        named: None when it is stale: the signature changed, and it can neither be measured nor
            served.
        mean: mean reward that its gate saw on the holdout; None when no gate measured it.
        moved: whether the branch moved the active pointer; looks alone do not.
    """

    branch: Branch
    ref: PolicyRef
    named: NamedPolicy | None
    mean: float | None
    moved: bool

    @property
    def label(self) -> str:
        """How to call the policy in output."""
        return self.ref.compiled_id[7:19] if self.ref.artifact else "the authored policy"


@dataclass(frozen=True)
class Resolution:
    """How two branches were joined.

    Attributes:
        record: what was written; None when only pointer files were in conflict, and were made
            again from the history.
        kept, dropped: the policies.
        measured: None when no look was needed.
        reason: why no look was needed; empty when there was one.
    """

    record: HistoryRecord | None
    kept: Side | None = None
    dropped: Side | None = None
    measured: Measured | None = None
    reason: str = ""


async def resolve_signature(
    inputs: JobInputs, options: RunOptions, terms: GateTerms = PLAIN_TERMS
) -> Resolution:
    """Join the two branches of a history, and make the pointer files anew.

    Args:
        terms: with an override, the baseline stands without a look.

    Raises:
        UsageError: nothing to resolve, or more than two branches.
        AlteredError: a record of either branch, an artifact or a pointer was altered.
        NothingSelectedError: there is no holdout to measure both on.
        PointerMovedError: the history changed meanwhile.
    """
    store = inputs.store
    branches = read_branches(store)
    if len(branches) > 2:
        raise UsageError(
            f"the history of {store.name} has {len(branches)} branches, and a resolve joins two",
            hint="undo the merge, and merge and resolve one branch at a time",
        )
    if len(branches) < 2:
        return _restored(inputs, branches)
    refuse_edits(store, list(branches))
    one, other = branches
    sides = (_side(inputs, one, other), _side(inputs, other, one))
    baseline, candidate = sorted(sides, key=_order)
    kept, reason = _without_a_look(baseline, candidate, terms)
    measured: Measured | None = None
    if not reason and baseline.named is not None and candidate.named is not None:
        measured = await measure(
            inputs, candidate.named, baseline.named, options, GateTerms(terms.mode)
        )
        kept = candidate if measured.moves else baseline
    dropped = baseline if kept is candidate else candidate
    parts: dict[str, Any] = {
        "signature_id": inputs.signature.id,
        "source": dropped.ref,
        "target": kept.ref,
        "gate": measured.evidence if measured else None,
    }
    override = terms.override if reason == terms.override else None
    record = new_record("resolve", **parts, reason=reason or None, override=override)
    with nullcontext() if measured is None else counted(store, measured, parts):
        written = resolve_branches(store, kept.branch, dropped.branch, record)
    return Resolution(written, kept, dropped, measured, reason)


def _restored(inputs: JobInputs, branches: tuple[Branch, ...]) -> Resolution:
    store = inputs.store
    if branches and in_conflict(store):
        refuse_edits(store, list(branches))
        with store.lock():
            settle(store)
        return Resolution(None, reason="the history has one end, and the pointer was made from it")
    if branches and branches[0].history[-1].event == "resolve" and recover(store):
        return Resolution(None, reason="the recorded resolve was interrupted, and is complete now")
    raise UsageError(
        f"nothing to resolve: the history of {store.name} has one end",
        hint="this joins two git branches that both promoted, after they were merged",
    )


def _without_a_look(baseline: Side, candidate: Side, terms: GateTerms) -> tuple[Side, str]:
    """Return which policy stands, and why the two need not be measured; empty when they do."""
    if baseline.moved != candidate.moved:
        mover = baseline if baseline.moved else candidate
        return mover, "only one of the branches moved the pointer"
    if baseline.ref.compiled_id == candidate.ref.compiled_id:
        return baseline, "both branches ended at the same policy"
    stale = [side.label for side in (baseline, candidate) if side.named is None]
    if stale:
        fresh = candidate if baseline.named is None and candidate.named is not None else baseline
        return fresh, f"the signature changed since {' and '.join(stale)} was compiled"
    return baseline, terms.override or ""


def _side(inputs: JobInputs, branch: Branch, other: Branch) -> Side:
    target = standing_target(branch.history)
    word = "default" if target is None or target.artifact is None else target.artifact
    try:
        named = find_policy(inputs.store, inputs.signature, inputs.base, word)
    except StaleError:
        named = None
    if target is None:
        target = find_policy(inputs.store, inputs.signature, inputs.base, "default").ref
    moved = any(moves_active(r) for r in branch.history if r not in other.history)
    return Side(branch, target, named, _measured_mean(branch, target, inputs), moved)


def _measured_mean(branch: Branch, target: PolicyRef, inputs: JobInputs) -> float | None:
    """Return what the last gate about a policy saw; on this branch, else on any."""
    for records in (branch.history, read_records(inputs.store)):
        for record in reversed(records):
            if record.gate is not None and record.target == target:
                return record.gate.candidate.mean
    return None


def _order(side: Side) -> tuple[float, str, str, str]:
    mean = -1.0 if side.mean is None else side.mean
    return -mean, side.ref.compiled_id, side.ref.artifact or "", side.branch.end
