"""``dse promote NAME --from canary``: the receipts decide, without a second look at the holdout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import short
from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import DseError, ExitCode
from dse_cli.evaluation.statistics.fisher import more_errors_p
from dse_cli.evaluation.views.words import counted
from dse_cli.registry.history import read_history, standing_canary
from dse_cli.registry.pointer import move_pointer, recover
from dse_cli.registry.pointer_file import pointer_ref
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.promotion.canary import CanaryStatus, ended_note, running_canary
from dse_cli.workflows.promotion.promote import expected_of
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from dse_cli.contracts.channel import ChannelCounts
    from dse_cli.contracts.history import GateEvidence, HistoryRecord
    from dse_cli.registry.served import ServedCounts
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy

#: A canary whose errors are this unlikely, if it errs no more often than the active policy, stays.
WORSE_AT: Final = 0.05


class CanaryRefusedError(DseError):
    """The receipts or the evidence of a canary do not allow to make it active.

    Attributes:
        reasons: each by itself enough.
    """

    exit_code = ExitCode.QUALITY
    outcome = "refused"

    def __init__(self, name: str, reasons: list[str], *, hint: str) -> None:
        super().__init__(f"the canary of {name} is not promoted: " + "; ".join(reasons), hint=hint)
        self.reasons = tuple(reasons)


@dataclass(frozen=True)
class CanaryPromotion:
    """A canary that was made active.

    Attributes:
        record: the history record that was written.
        start: the one that started the canary; it has the evidence of the gate.
        counts: predictions of both channels.
        p: chance of so many errors if it erred no more often than the active policy.
    """

    record: HistoryRecord
    start: HistoryRecord
    counts: ServedCounts
    p: float


def promote_canary(inputs: JobInputs) -> CanaryPromotion:
    """Move the active pointer to the canary, and end the canary.

    Raises:
        UsageError: no canary runs.
        CanaryRefusedError: too few samples, too many errors, or its evidence is stale.
        StaleError, AlteredError: its artifact does not fit the signature, or was altered.
        PointerMovedError: the active pointer or the canary moved meanwhile.
    """
    store = inputs.store
    recover(store)
    status = running_canary(inputs.project, store)
    start = standing_canary(read_history(store))
    if start is None:
        raise ValueError("recovery left a canary that the history does not know")
    active = find_policy(store, inputs.signature, inputs.base, "active")
    find_policy(store, inputs.signature, inputs.base, status.pointer.artifact)  # fits, or raises
    p = worse_p(status.counts)
    _refuse(inputs, status, start.gate, active, p)
    target = pointer_ref(status.pointer)
    record = new_record(
        "promote",
        signature_id=inputs.signature.id,
        source=active.ref,
        target=target,
        canary=ended_note(status, start),
        override=start.reason if start.override else None,
    )
    written = move_pointer(store, expected_of(active), target, record)
    return CanaryPromotion(written, start, status.counts, p)


def worse_p(counts: ServedCounts) -> float:
    """Return the p-value of "the canary errs no more often than the active policy"."""
    canary, active = counts.canary, counts.active
    return more_errors_p(canary.errors, canary.samples, active.errors, active.samples)


def _refuse(
    inputs: JobInputs,
    status: CanaryStatus,
    gate: GateEvidence | None,
    active: NamedPolicy,
    p: float,
) -> None:
    name, pointer = inputs.name, status.pointer
    stale = list(_stale(inputs, pointer.baseline, gate, active))
    bad = list(_bad(status, p))
    short_of = list(_short_of(status))
    if not (stale or bad or short_of):
        return
    artifact = pointer.artifact.removeprefix("compiled/").removesuffix(".json")
    if stale:
        hint = f"its evidence is stale: run the gate again by 'dse promote {name} {artifact}'"
    elif bad:
        hint = f"stop it by 'dse rollback {name} --channel canary --reason TEXT'"
    else:
        hint = f"serve more requests with 'dse predict {name}' or 'dse_cli.load', then try again"
    raise CanaryRefusedError(name, [*stale, *bad, *short_of], hint=hint)


def _stale(
    inputs: JobInputs, baseline: str, gate: GateEvidence | None, active: NamedPolicy
) -> Iterator[str]:
    if active.policy.id != baseline:
        yield (
            f"it was measured against {short(baseline)}, and {short(active.policy.id)} is active "
            "now"
        )
    if gate is None:
        return  # started by an override without a holdout: there is nothing to grow stale
    if gate.split_hash != rows_hash(inputs.rows("holdout")):
        yield "the holdout changed since it was measured"
    if gate.reward_hash != inputs.reward.hash:
        yield "the reward changed since it was measured"


def _bad(status: CanaryStatus, p: float) -> Iterator[str]:
    counts, most = status.counts, status.pointer.stop.max_error_rate
    if counts.tripped is not None:
        yield f"it was stopped at {_rate(counts.tripped)}, more than {100 * most:g} %"
    if p <= WORSE_AT:
        yield (
            f"it errs more often than the active policy: {_rate(counts.canary)} against "
            f"{_rate(counts.active)}, p = {p:.3g}"
        )


def _short_of(status: CanaryStatus) -> Iterator[str]:
    samples, least = status.counts.canary.samples, status.pointer.stop.min_samples
    if samples < least:
        more = least - samples
        yield (f"{more} more sample{'' if more == 1 else 's'} needed: it has {samples} of {least}")


def _rate(counts: ChannelCounts) -> str:
    rate = "" if counts.error_rate is None else f" ({100 * counts.error_rate:.1f} %)"
    return f"{counted(counts.errors, 'error')} in {counted(counts.samples, 'sample')}{rate}"
