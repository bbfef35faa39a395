"""What ``dse promote`` prints. Each function returns whether the answer was yes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.canonical import short
from dse_cli.evaluation.views.words import counted
from dse_cli.report.channel_text import comparison_text, counts_text
from dse_cli.report.gate_text import gate_lines
from dse_cli.report.plain import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.cli.common import Out
    from dse_cli.contracts.history import GateEvidence, HistoryRecord
    from dse_cli.workflows.promotion.canary_promotion import CanaryPromotion
    from dse_cli.workflows.promotion.promote import GatePlan, Promotion
    from dse_cli.workflows.promotion.resolve import Resolution


def show_plan(out: Out, plan: GatePlan) -> bool:
    """Print what a look would cost."""
    out.text(f"candidate     {plan.candidate.label}")
    out.text(f"baseline      {plan.baseline.label}")
    out.text(f"metric calls  {plan.metric_calls} ({plan.rows} holdout rows, both policies)")
    out.text(f"look          {plan.look}, tested at {plan.level:.4g}")
    for note in plan.notes:
        out.text(f"note          {note}")
    out.document(
        "planned",
        {
            "candidate": plan.candidate.ref.compiled_id,
            "baseline": plan.baseline.ref.compiled_id,
            "rows": plan.rows,
            "metric_calls": plan.metric_calls,
            "look": plan.look,
            "level": plan.level,
            "notes": list(plan.notes),
        },
    )
    return True


def show_active_already(out: Out, name: str, word: str, record: HistoryRecord | None) -> bool:
    """Print that an artifact holds the active policy, and whether the pointer moved to it."""
    if record is None:
        out.text(f"{name}: {word} is the active policy already; nothing to measure")
        out.document("already_active", {"signature": name})
        return True
    out.text(f"{name}: refreshed: same policy, newer evidence")
    _review(out, name, "active.yaml")
    body = {"signature": name, "sequence": record.sequence, "moved": True}
    out.document("refreshed", body)
    return True


def show_promotion(out: Out, name: str, result: Promotion, notes: Sequence[str] = ()) -> bool:
    """Print what the gate found, and what became of the pointer.

    Args:
        notes: what was said before the look.
    """
    measured, record = result.measured, result.record
    if measured.evidence is not None:
        _show_evidence(out, measured.evidence, result.candidate.label, result.baseline.label)
    else:
        out.text(f"not measured: {one_line(measured.unmeasured)}")
    if measured.overridden:
        out.text(f"moved by override: {one_line(record.reason or '')}")
    out.text(_what_moved(result))
    if result.moved:
        _review(out, name, f"{record.channel}.yaml")
    evidence = measured.evidence
    out.document(
        "override" if measured.overridden or evidence is None else evidence.verdict,
        {
            "moved": result.moved,
            "channel": record.channel,
            "override": measured.overridden,
            "reason": record.reason,
            "evidence": None if evidence is None else evidence.model_dump(mode="json"),
            "canary": None if record.canary is None else record.canary.to_json(),
            "sequence": record.sequence,
            "paid_calls": result.paid_calls,
            "notes": list(notes),
        },
    )
    return result.moved


def _what_moved(result: Promotion) -> str:
    canary = result.record.canary
    if canary is None:
        moved = f"active is now {result.candidate.label}"
        return moved if result.moved else "the pointer did not move"
    if not result.moved:
        return "no canary was started"
    return (
        f"canary: {canary.percent:g} % of the requests go to {result.candidate.label}, salt "
        f"{canary.salt}; judged after {canary.stop.min_samples} samples, stopped above "
        f"{100 * canary.stop.max_error_rate:g} % errors"
    )


def show_canary_promotion(out: Out, name: str, result: CanaryPromotion) -> bool:
    """Print what the receipts say, and that the pointer moved."""
    counts = result.counts
    target = result.record.target
    compiled_id = "" if target is None else target.compiled_id
    out.text(f"canary  {counts_text(counts.canary)}")
    out.text(f"active  {counts_text(counts.active)}")
    out.text(comparison_text(counts, result.p))
    out.text(f"quality: by the gate of record {result.start.sequence}")
    out.text(f"active is now {short(compiled_id)}; the canary ended")
    _review(out, name, "active.yaml")
    out.document(
        "promoted",
        {
            "moved": True,
            "compiled_id": compiled_id,
            "sequence": result.record.sequence,
            "evidence_sequence": result.start.sequence,
            "canary": counts.canary.model_dump(mode="json"),
            "active": counts.active.model_dump(mode="json"),
            "p": result.p if counts.active.samples else None,
        },
    )
    return True


def show_resolution(out: Out, name: str, result: Resolution) -> bool:
    """Print how two branches were joined."""
    kept, dropped, record = result.kept, result.dropped, result.record
    evidence = None if result.measured is None else result.measured.evidence
    body: dict[str, Any] = {"signature": name, "reason": result.reason or None}
    if kept is None or dropped is None or record is None:
        out.text(f"{name}: {result.reason}")
        out.document("restored", body)
        return True
    if evidence is None:
        out.text(f"no look was needed: {one_line(result.reason)}")
    else:
        won = record.target is not None and evidence.verdict == "promote"
        first, second = (kept, dropped) if won else (dropped, kept)
        _show_evidence(out, evidence, first.label, second.label)
    out.text(f"resolved: {kept.label} stays active, and the branch of {dropped.label} is joined")
    _review(out, name, "active.yaml")
    body |= {
        "sequence": record.sequence,
        "kept": kept.ref.compiled_id,
        "dropped": dropped.ref.compiled_id,
        "evidence": None if evidence is None else evidence.model_dump(mode="json"),
    }
    out.document("resolved", body)
    return True


def _show_evidence(out: Out, evidence: GateEvidence, candidate: str, baseline: str) -> None:
    for line in gate_lines(evidence):
        out.text(line)
    out.text(
        f"{evidence.verdict}: {candidate} against {baseline}, "
        f"look {evidence.look} at this holdout, level {evidence.level:.4g}"
    )
    outages = sum(
        1
        for summary in (evidence.candidate, evidence.baseline)
        for reward in summary.rows.values()
        if reward is None
    )
    if outages:
        out.text(f"without an answer, and not in these numbers: {counted(outages, 'cell')}")


def _review(out: Out, name: str, file: str) -> None:
    out.note(f"\nreview: git diff artifacts/{name}/{file}")
