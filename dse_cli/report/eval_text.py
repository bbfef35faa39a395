"""An evaluation as lines for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.lm import NANO
from dse_cli.evaluation.gate import gate_line

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell, EvalSummary
    from dse_cli.contracts.history import PairedTest

FEEDBACK_CHARS = 200


def eval_lines(
    label: str,
    summary: EvalSummary,
    against: str | None,
    other: EvalSummary | None,
    comparison: PairedTest | None,
) -> Iterator[str]:
    """Yield the table of an evaluation."""
    yield (
        f"{'policy':<28} {'mean':>6}  {'95 % CI':<14} {'n':>5} {'outages':>8} {'tokens':>9} "
        f"{'cost':>9}"
    )
    yield _line(label, summary)
    if against is not None and other is not None:
        yield _line(against, other)
    if comparison is not None:
        yield ""
        yield gate_line(comparison, None)
        yield f"{comparison.wins} rows won, {comparison.losses} lost, {comparison.ties} tied"
    if len(summary.signals) > 1:
        yield ""
        for name, mean in summary.signals.items():
            yield f"  {name:<26} {100 * mean:>6.1f}"
    if summary.slices:
        yield ""
        for tag, part in summary.slices.items():
            yield f"  {'tag ' + tag:<26} {100 * part.mean:>6.1f}  {'':<14} {part.n:>5}"
    if summary.repeat is not None:
        repeat = summary.repeat
        yield ""
        k = repeat.rollouts
        yield f"  pass@{k} {100 * repeat.pass_at_k:.1f}   pass^{k} {100 * repeat.pass_hat_k:.1f}"
    if summary.failures:
        yield ""
        kinds = ", ".join(f"{kind} {count}" for kind, count in summary.failures.items())
        yield f"  without an answer: {kinds}"


def row_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield why each imperfect cell is not perfect."""
    for cell in cells:
        if cell.reward is not None and cell.reward >= 1:
            continue
        reward = "outage" if cell.reward is None else f"{100 * cell.reward:.1f}"
        yield ""
        yield f"{cell.example}  {reward}"
        if cell.error is not None:
            yield f"  {cell.error.kind}: {_short(cell.error.message)}"
        for signal in cell.signals:
            if signal.score < 1 and signal.feedback:
                yield f"  {signal.id}: {_short(signal.feedback)}"
        if cell.output is not None:
            yield f"  answered {_short(json.dumps(cell.output, ensure_ascii=False))}"


def cell_json(cell: Cell) -> dict[str, Any]:
    """Return a cell as a JSON object."""
    return {
        "id": cell.example,
        "rollout": cell.rollout,
        "reward": cell.reward,
        "output": cell.output,
        "error": None if cell.error is None else cell.error.to_json(),
        "signals": [
            {"id": signal.id, "score": signal.score, "feedback": signal.feedback}
            for signal in cell.signals
        ],
        "repairs": cell.usage.repairs,
        "tokens": cell.usage.total_tokens,
    }


def _line(label: str, summary: EvalSummary) -> str:
    mean = "-" if summary.mean is None else f"{100 * summary.mean:.1f}"
    interval = summary.interval
    shown = "" if interval is None else f"{100 * interval.low:.1f} to {100 * interval.high:.1f}"
    outages = sum(1 for reward in summary.rows.values() if reward is None)
    known = summary.prompt_tokens is not None and summary.completion_tokens is not None
    tokens = (summary.prompt_tokens or 0) + (summary.completion_tokens or 0) if known else "?"
    cost = "unknown" if summary.cost.kind == "unknown" else f"${summary.cost.nano_usd / NANO:.4f}"
    return (
        f"{label[:28]:<28} {mean:>6}  {shown:<14} {summary.n:>5} {outages:>8} {tokens:>9} {cost:>9}"
    )


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= FEEDBACK_CHARS else flat[: FEEDBACK_CHARS - 1] + "…"
