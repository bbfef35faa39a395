"""A canary: start it through the gate, count what it did, make it active or stop it.

A canary is measured by the same gate as a promotion, and then tried on a share of the requests.
Making it active needs no second look at the holdout: the first one vouches for its quality, and the
receipts of its predictions vouch that it answers. Nothing here runs while serving; the stop rule
that does is in :mod:`dse_cli.workflows.serving.router`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import sha256_of, short
from dse_cli.contracts.channel import CanaryNote, CanaryStop, ChannelCounts
from dse_cli.contracts.errors import UsageError
from dse_cli.registry.canary import canary_note, read_canary
from dse_cli.registry.canary_moves import start_canary, stop_canary
from dse_cli.registry.history import append, read_history, record_digest, standing_canary
from dse_cli.registry.pointer import recover
from dse_cli.registry.pointer_file import pointer_ref
from dse_cli.registry.served import ServedCounts, count_receipts
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.promotion.look import (
    PLAIN_TERMS,
    GateTerms,
    counted,
    measure,
    refuse_hopeless,
)
from dse_cli.workflows.promotion.promote import Promotion, expected_of, plan_promotion
from dse_cli.workflows.promotion.records import new_record
from dse_cli.workflows.promotion.rollback import refuse_empty
from dse_cli.workflows.serving.router import receipts_file

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.history import GateMode, HistoryRecord
    from dse_cli.project.project import Project
    from dse_cli.registry.history import History
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.promotion.promote import GatePlan
    from dse_cli.workflows.session import RunOptions

_DECIMALS: Final = 2


@dataclass(frozen=True)
class CanaryPlan:
    """How a canary is to run.

    Attributes:
        percent: share of the request keys, above 0, at most 100, two decimals.
        salt: draws which keys; None derives it from the policy and the history.
        stop: when it is stopped.
    """

    percent: float
    salt: str | None = None
    stop: CanaryStop = CanaryStop(min_samples=20, max_error_rate=0.2)  # noqa: RUF009 - frozen

    def __post_init__(self) -> None:
        if not 0 < self.percent <= 100 or round(self.percent, _DECIMALS) != self.percent:
            raise UsageError(
                f"--percent {self.percent:g} is not a share of the requests",
                hint="above 0, at most 100, with at most two decimals",
            )


@dataclass(frozen=True)
class CanaryStatus:
    """A canary that runs, and what it did so far."""

    pointer: CanaryPointer
    counts: ServedCounts


def canary_status(project: Project, store: SignatureStore) -> CanaryStatus | None:
    """Return the canary of a signature with its counts; None when none runs.

    Raises:
        AlteredError: ``canary.yaml`` does not read.
    """
    pointer = read_canary(store)
    if pointer is None:
        return None
    path = receipts_file(project, store.name)
    return CanaryStatus(pointer, count_receipts(path, pointer.salt, pointer.stop))


async def start_canary_policy(
    inputs: JobInputs,
    word: str,
    plan: CanaryPlan,
    options: RunOptions,
    terms: GateTerms = PLAIN_TERMS,
) -> Promotion:
    """Run the gate for an artifact, and start a canary if it passes; the active pointer stays.

    Args:
        word: the artifact, by file name, id prefix or run prefix.

    Raises:
        UsageError: a canary runs already, the salt was used before, or what a promotion refuses.
        PointerMovedError: the active pointer is no longer where it was.
    """
    store = inputs.store
    recover(store)
    candidate = find_policy(store, inputs.signature, inputs.base, word)
    baseline = find_policy(store, inputs.signature, inputs.base, "active")
    refuse_hopeless(candidate, baseline, name=inputs.name)
    salt = _free_salt(inputs, plan, candidate.ref.compiled_id)
    measured = await measure(inputs, candidate, baseline, options, terms)
    parts: dict[str, Any] = {
        "signature_id": inputs.signature.id,
        "source": baseline.ref,
        "target": candidate.ref,
        "gate": measured.evidence,
        "channel": "canary",
        "canary": CanaryNote(percent=plan.percent, salt=salt, stop=plan.stop),
    }
    override = terms.override if measured.overridden else None
    with counted(store, measured, parts):
        if measured.moves:
            start = new_record("promote", **parts, override=override)
            record = start_canary(store, expected_of(baseline), start)
        else:
            record = append(store, new_record("refuse", **parts))
    return Promotion(measured, record, candidate, baseline)


def plan_canary(
    inputs: JobInputs, word: str, plan: CanaryPlan, mode: GateMode = "superiority"
) -> GatePlan:
    """Price the gate of a canary without measuring anything.

    Raises:
        UsageError: what :func:`start_canary_policy` would refuse before its look.
    """
    candidate = find_policy(inputs.store, inputs.signature, inputs.base, word)
    baseline = find_policy(inputs.store, inputs.signature, inputs.base, "active")
    refuse_hopeless(candidate, baseline, name=inputs.name)
    _free_salt(inputs, plan, candidate.ref.compiled_id)
    return plan_promotion(inputs, word, mode)


def stop_canary_policy(project: Project, store: SignatureStore, *, reason: str) -> HistoryRecord:
    """Stop the canary and record why, with its counts.

    Raises:
        UsageError: none runs, or there is no reason.
    """
    refuse_empty(reason)
    recover(store)
    status = running_canary(project, store)
    start = standing_canary(read_history(store))
    record = new_record(
        "rollback",
        signature_id=status.pointer.signature_id,
        source=pointer_ref(status.pointer),
        target=None,
        reason=reason,
        channel="canary",
        canary=ended_note(status, start),
    )
    return stop_canary(store, record)


def running_canary(project: Project, store: SignatureStore) -> CanaryStatus:
    """Return the canary that runs.

    Raises:
        UsageError: none does.
    """
    status = canary_status(project, store)
    if status is None:
        raise UsageError(
            f"no canary of {store.name} runs",
            hint=f"'dse promote {store.name} ID --channel canary --percent 10' starts one",
        )
    return status


def ended_note(status: CanaryStatus, start: HistoryRecord | None) -> CanaryNote:
    """Return what the record that ends a canary says of it."""
    note = canary_note(status.pointer)
    counted = {"counts": status.counts.canary, "active_counts": status.counts.active}
    if start is not None:
        return note.model_copy(update={**counted, "started": record_digest(start)})
    return note.model_copy(update=counted)


def _free_salt(inputs: JobInputs, plan: CanaryPlan, compiled_id: str) -> str:
    """Return the salt of the new canary.

    Raises:
        UsageError: another canary runs, or the salt was used before.
    """
    store = inputs.store
    _refuse_second(store)
    receipts = receipts_file(inputs.project, store.name)
    return _salt(plan, compiled_id, read_history(store), receipts)


def _refuse_second(store: SignatureStore) -> None:
    running = read_canary(store)
    if running is not None:
        raise UsageError(
            f"a canary of {store.name} runs already: {short(running.compiled_id)}",
            hint=f"'dse promote {store.name} --from canary' makes it active, "
            f"'dse rollback {store.name} --channel canary --reason TEXT' stops it",
        )


def _salt(plan: CanaryPlan, compiled_id: str, history: History, receipts: Path) -> str:
    """Return a salt that no receipt here carries: a start that git undid may have left some."""

    def is_served(salt: str) -> bool:
        counts = count_receipts(receipts, salt)
        return counts.canary != ChannelCounts() or counts.active != ChannelCounts()

    if plan.salt is None:
        number = history[-1].sequence + 1 if history else 1
        salt = short(sha256_of([compiled_id, number]))
        while is_served(salt):
            salt = short(sha256_of([compiled_id, number, salt]))
        return salt
    for record in history:
        if record.event == "promote" and record.canary and record.canary.salt == plan.salt:
            raise UsageError(
                f"the salt {plan.salt!r} was used by record {record.sequence}",
                hint="the receipts of both canaries would be counted together; take another salt",
            )
    if is_served(plan.salt):
        raise UsageError(
            f"receipts of this machine carry the salt {plan.salt!r} already",
            hint="they would be counted as the new canary's; take another salt",
        )
    return plan.salt
