"""A history record before it has its place in the chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.contracts.history import HISTORY_FORMAT, HistoryRecord

if TYPE_CHECKING:
    from dse_cli.contracts.channel import CanaryNote, Channel
    from dse_cli.contracts.history import GateEvidence, HistoryEvent, PolicyRef


def new_record(
    event: HistoryEvent,
    *,
    signature_id: str,
    source: PolicyRef | None,
    target: PolicyRef | None,
    reason: str | None = None,
    gate: GateEvidence | None = None,
    channel: Channel = "active",
    canary: CanaryNote | None = None,
    override: str | None = None,
) -> HistoryRecord:
    """Return a record; its number and its link are set when it is written.

    Args:
        override: why a person moves the pointer although the gate did not pass; it is the reason.
    """
    # A field is set only where it says something: what is not set is not written.
    extras: dict[str, Any] = {}
    if channel != "active":
        extras["channel"] = channel
    if canary is not None:
        extras["canary"] = canary
    if override is not None:
        extras["override"], reason = True, override
    return HistoryRecord(
        format=HISTORY_FORMAT,
        sequence=1,
        event=event,
        signature_id=signature_id,
        source=source,
        target=target,
        reason=reason,
        gate=gate,
        previous=None,
        **extras,
    )
