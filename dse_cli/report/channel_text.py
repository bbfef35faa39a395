"""Channels in a line: what a canary did, and why a policy is active although no gate said so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.canonical import short
from dse_cli.registry.history import moves_active, standing_record
from dse_cli.report.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.channel import CanaryPointer, ChannelCounts
    from dse_cli.contracts.history import HistoryRecord
    from dse_cli.registry.served import ServedCounts


def counts_text(counts: ChannelCounts) -> str:
    """Return ``18 ok, 2 errors (1 decode, 1 timeout) in 20 samples, 3 cancelled``."""
    kinds = ("decode", "timeout", "provider", "budget", "tool", "other")
    found = [f"{number} {kind}" for kind in kinds if (number := getattr(counts, kind))]
    errors = f"{counts.errors} error{'' if counts.errors == 1 else 's'}"
    text = f"{counts.ok} ok, {errors}"
    if found:
        text += f" ({', '.join(found)})"
    text += f" in {counts.samples} sample{'' if counts.samples == 1 else 's'}"
    return text + (f", {counts.cancelled} cancelled" if counts.cancelled else "")


def comparison_text(counts: ServedCounts, p: float) -> str:
    """Return how a canary was compared with the active policy, if it could be.

    Args:
        p: chance of at least so many errors of the canary if both channels err alike.
    """
    if not counts.active.samples:
        return (
            "no sample of the active policy: nothing to compare with, "
            "the canary's error rate alone decided"
        )
    return f"Fisher's exact test, one-sided: p = {p:.3f}"


def canary_text(pointer: CanaryPointer, counts: ServedCounts) -> str:
    """Return a canary in a few words, without its label: ``05ab12cd34ef, 10 %: 3 ok, ...``."""
    stopped = ", stopped" if counts.tripped is not None else ""
    share = f"{pointer.percent:g} %{stopped}"
    return f"{short(pointer.compiled_id)}, {share}: {counts_text(counts.canary)}"


def canary_document(pointer: CanaryPointer, counts: ServedCounts) -> dict[str, Any]:
    """Return a canary with its counts as JSON."""
    return {
        "compiled_id": pointer.compiled_id,
        "artifact": pointer.artifact,
        "percent": pointer.percent,
        "salt": pointer.salt,
        "stop": pointer.stop.to_json(),
        "baseline": pointer.baseline,
        "canary": counts.canary.model_dump(mode="json"),
        "active": counts.active.model_dump(mode="json"),
        "tripped": counts.tripped is not None,
    }


def override_text(history: Sequence[HistoryRecord]) -> str:
    """Return ``active by override: REASON``; empty when a gate made the policy active."""
    record = standing_record(history)
    moves = [one for one in history if moves_active(one) and one.event != "refresh"]
    last = moves[-1] if moves else None
    if last is not None and last.event == "resolve" and last.override:
        record = last  # two branches were joined unmeasured
    if record is None or not record.override:
        return ""
    return f"active by override: {one_line(record.reason or '')}"
