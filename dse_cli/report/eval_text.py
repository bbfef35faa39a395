"""An evaluation as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dse_cli.evaluation.gate.verdict import gate_line
from dse_cli.evaluation.summary import PASSES
from dse_cli.evaluation.views.words import signed
from dse_cli.report.columns import columns
from dse_cli.report.eval_words import (
    answer_text,
    cost_text,
    delta_text,
    interval_text,
    judge_text,
    outcome_text,
    reward_text,
    rows_text,
    tokens_text,
    won_text,
)
from dse_cli.report.plain import counted, one_line, points

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.evaluation.views.paired_rows import RowPair
    from dse_cli.report.eval_report import EvalReport, Measured

#: Rows won, and rows lost, that are listed; ``--rows`` lists all.
MOST_ROWS: Final = 5
#: Confused pairs that are listed.
MOST_PAIRS: Final = 5
_ID: Final = 24  #: characters that the id of a row has at least


def eval_lines(report: EvalReport, *, every_row: bool = False) -> Iterator[str]:
    """Yield an evaluation: the table, then what it compares, then where it fails.

    Args:
        every_row: list all rows won and lost, and why each imperfect cell is not perfect.
    """
    yield rows_text(report)
    yield ""
    yield from _table(report)
    yield from _notes(report)
    for measured in report.measured:
        several = len(report.measured) > 1
        yield from _comparison(measured, several=several, every_row=every_row)
    for measured in report.measured:
        if len(report.measured) > 1:
            yield ""
            yield f"{measured.label}:"
        yield from _breakdown(measured)
    if every_row:
        for measured in report.measured:
            lines = list(row_lines(measured.cells, report.output_fields))
            if lines and len(report.measured) > 1:
                yield ""
                yield f"{measured.label}, row by row:"
            yield from lines


def row_lines(cells: Sequence[Cell], fields: Sequence[str] = ()) -> Iterator[str]:
    """Yield why each imperfect cell is not perfect.

    Args:
        fields: of the output, in the order in which an answer is shown.
    """
    rollouts = max((cell.rollout for cell in cells), default=0) + 1
    for cell in cells:
        if cell.reward is not None and cell.reward >= PASSES:
            continue
        yield ""
        rollout = f"  rollout {cell.rollout}" if rollouts > 1 else ""
        yield f"{cell.example}{rollout}  {reward_text(cell.reward)}"
        for failure in cell.failures:
            yield f"  {failure.kind} {failure.source}: {one_line(failure.message)}"
        if cell.output is not None:
            yield f"  answered {answer_text(cell.output, fields)}"


def _table(report: EvalReport) -> Iterator[str]:
    compared = report.by_model and report.baseline is not None
    header = ["policy", "mean", "95 % CI", "n", "outages", "tokens", "cost"]
    rows = [[*header, "delta"] if compared else header]
    for measured in report.all_measured:
        summary, comparison = measured.summary, measured.comparison
        cells = [
            measured.label,
            points(summary.mean),
            interval_text(summary),
            str(summary.n),
            str(measured.outcomes.without_answer),
            tokens_text(summary),
            cost_text(summary),
        ]
        # Its interval stands with the comparison below.
        delta = "" if comparison is None else delta_text(comparison, interval=False)
        rows.append([*cells, delta] if compared else cells)
    yield from columns(rows, "<><>>>>>" if compared else "<><>>>>")


def _notes(report: EvalReport) -> Iterator[str]:
    if report.groups is not None:
        yield ""
        yield "rows of a group are not independent: intervals and tests are over groups"


def _comparison(measured: Measured, *, several: bool, every_row: bool) -> Iterator[str]:
    comparison = measured.comparison
    if comparison is None:
        return
    test, rows = comparison.test, comparison.rows
    yield ""
    label = f"{measured.label} against {comparison.against}: " if several else ""
    yield label + gate_line(test, None)
    yield won_text(comparison)
    most = None if every_row else 0 if several else MOST_ROWS
    yield from _pairs("won", rows.won, most)
    yield from _pairs("lost", rows.lost, most)


def _pairs(word: str, pairs: Sequence[RowPair], most: int | None) -> Iterator[str]:
    width = max([_ID, *(len(pair.id) for pair in pairs[:most])])
    for pair in pairs[:most]:
        before, now = points(pair.other), points(pair.reward)
        yield f"  {word:<5} {pair.id:<{width}} {before:>5} -> {now:>5}"
    if most and len(pairs) > most:
        yield f"  {word:<5} and {len(pairs) - most} more; --rows lists them"


def _breakdown(measured: Measured) -> Iterator[str]:
    summary = measured.summary
    if len(summary.signals) > 1:
        yield ""
        rows = [[name, points(mean)] for name, mean in summary.signals.items()]
        yield from columns([["signal", "mean"], *rows], "<>", indent="  ")
    if summary.slices:
        yield ""
        yield from _slices(measured)
    if summary.repeat is not None:
        repeat, k = summary.repeat, summary.repeat.rollouts
        yield ""
        line = f"  pass@{k} {points(repeat.pass_at_k)}   pass^{k} {points(repeat.pass_hat_k)}"
        same = measured.outcomes.consistent
        yield line if same is None else f"{line}   same reward every time {points(same)}"
    for name, judge in (summary.judges or {}).items():
        yield ""
        yield f"  {judge_text(name, judge)}"
    if measured.confusion:
        yield ""
        for pair in measured.confusion[:MOST_PAIRS]:
            expected, got = one_line(pair.expected, 40), one_line(pair.got, 40)
            yield f"  {pair.signal}: {expected} taken for {got}, {pair.cells} x"
        if (more := len(measured.confusion) - MOST_PAIRS) > 0:
            yield f"  and {counted(more, 'other pair')}"
    outcomes = measured.outcomes
    if outcomes.perfect < outcomes.cells:
        yield ""
        yield f"  {outcome_text(outcomes)}"


def _slices(measured: Measured) -> Iterator[str]:
    """Yield the tags; compared, with both means over the rows that both policies answered."""
    slices, comparison = measured.summary.slices, measured.comparison
    if comparison is None:
        rows = [[_tag(tag), points(part.mean), str(part.n)] for tag, part in slices.items()]
        yield from columns([["slice", "mean", "n"], *rows], "<>>", indent="  ")
        return
    pairs = {pair.tag: pair for pair in comparison.slices}
    compared = [["slice", "mean", "baseline", "delta", "n"]]
    for tag, part in slices.items():
        pair = pairs.get(tag)
        if pair is None:
            compared.append([_tag(tag), points(part.mean), "-", "-", str(part.n)])
        else:
            means = [points(pair.mean), points(pair.other), signed(pair.delta)]
            compared.append([_tag(tag), *means, str(pair.n)])
    yield from columns(compared, "<>>>>", indent="  ")


def _tag(tag: str) -> str:
    return f"tag {one_line(tag)}"
