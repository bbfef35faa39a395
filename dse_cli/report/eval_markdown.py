"""An evaluation as Markdown, for a pull request or the summary of a CI job. Bounded in length."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import short
from dse_cli.evaluation.gate.verdict import gate_line
from dse_cli.evaluation.summary import PASSES
from dse_cli.evaluation.views.words import signed
from dse_cli.report.eval_words import (
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
from dse_cli.report.plain import counted, dollars, one_line, points

if TYPE_CHECKING:
    from dse_cli.evaluation.views.paired_rows import RowPair
    from dse_cli.lm.meter import Tally
    from dse_cli.report.eval_report import EvalReport, EvalVerdict, Measured

#: Rows, slices and pairs listed in each section; the rest is counted.
MOST_ROWS: Final = 20
_LONGEST: Final = 2_000  #: characters of one foreign text
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|~#$@!&])")


def eval_markdown(report: EvalReport, verdict: EvalVerdict) -> str:
    """Return the summary of an evaluation, with a newline at the end."""
    return "\n".join(_lines(report, verdict)) + "\n"


def _lines(report: EvalReport, verdict: EvalVerdict) -> Iterator[str]:
    passed = "passed" if not verdict.messages else verdict.outcome.replace("_", " ")
    yield f"## dse eval {_escaped(report.name)}: {passed}"
    yield ""
    if verdict.messages:
        for message in verdict.messages:
            yield f"- **{_escaped(str(message))}**"
        yield ""
    yield from _table(report)
    yield ""
    yield _facts(report)
    several = len(report.measured) > 1
    for measured in report.measured:
        if several:
            yield ""
            yield f"### {_escaped(measured.label)}"
        yield from _comparison(measured)
        yield from _breakdown(measured)
        yield from _imperfect(measured)


def _table(report: EvalReport) -> Iterator[str]:
    compared = report.baseline is not None
    yield (
        "| policy | mean | 95 % CI | n | outages | tokens | cost |"
        + (" delta (95 % CI) | won | lost |" if compared else "")
    )
    yield "|---|--:|---|--:|--:|--:|--:|" + ("--:|--:|--:|" if compared else "")
    for measured in report.all_measured:
        summary, comparison = measured.summary, measured.comparison
        cells = [
            _named(measured),
            points(summary.mean),
            interval_text(summary),
            str(summary.n),
            str(measured.outcomes.without_answer),
            tokens_text(summary),
            _escaped(cost_text(summary)),
        ]
        if comparison is not None:
            rows = comparison.rows
            cells += [delta_text(comparison), str(len(rows.won)), str(len(rows.lost))]
        elif compared:
            cells += ["", "", ""]
        yield f"| {' | '.join(cells)} |"


def _named(measured: Measured) -> str:
    identifier = short(measured.compiled_id)
    label = _escaped(measured.label)
    return label if identifier in measured.label else f"{label} (`{identifier}`)"


def _facts(report: EvalReport) -> str:
    charged, paid = report.charged, report.paid
    return (
        f"{_escaped(rows_text(report))}; {counted(charged.calls, 'model call')} "
        f"({_money(charged)}) charged, {paid.calls:,} ({_money(paid)}) paid."
    )


def _money(tally: Tally) -> str:
    if tally.unknown_cost:
        return f"cost of {tally.unknown_cost:,} unknown"
    return _escaped(dollars(tally.cost_nano_usd))


def _comparison(measured: Measured) -> Iterator[str]:
    comparison = measured.comparison
    if comparison is None:
        return
    yield ""
    yield f"Against {_escaped(comparison.against)}: {gate_line(comparison.test, None)};"
    yield f"{_escaped(won_text(comparison))}."
    yield from _pairs("Rows lost", comparison.rows.lost)
    yield from _pairs("Rows won", comparison.rows.won)


def _pairs(title: str, pairs: Sequence[RowPair]) -> Iterator[str]:
    if not pairs:
        return
    yield ""
    yield f"#### {title}"
    yield ""
    yield "| row | before | now |"
    yield "|---|--:|--:|"
    for pair in pairs[:MOST_ROWS]:
        yield f"| {_escaped(pair.id)} | {points(pair.other)} | {points(pair.reward)} |"
    yield from _rest(len(pairs), "row")


def _breakdown(measured: Measured) -> Iterator[str]:
    summary, outcomes = measured.summary, measured.outcomes
    yield ""
    yield f"{outcome_text(outcomes)}."
    if summary.repeat is not None:
        k, repeat = summary.repeat.rollouts, summary.repeat
        same = outcomes.consistent
        consistent = "" if same is None else f", same reward every time {points(same)}"
        yield ""
        yield (
            f"pass@{k} {points(repeat.pass_at_k)}, pass^{k} {points(repeat.pass_hat_k)}{consistent}"
        )
    yield from _parts(measured)
    for name, judge in (summary.judges or {}).items():
        yield ""
        yield f"Judge {_escaped(judge_text(name, judge))}."
    if measured.confusion:
        yield ""
        yield "| signal | expected | got | cells |"
        yield "|---|---|---|--:|"
        for pair in measured.confusion[:MOST_ROWS]:
            expected, got = _escaped(one_line(pair.expected, 60)), _escaped(one_line(pair.got, 60))
            yield f"| {_escaped(pair.signal)} | {expected} | {got} | {pair.cells} |"
        yield from _rest(len(measured.confusion), "pair")


def _parts(measured: Measured) -> Iterator[str]:
    """Yield signals and slices; compared, slices have both means over the rows of both."""
    summary, comparison = measured.summary, measured.comparison
    pairs = {} if comparison is None else {pair.tag: pair for pair in comparison.slices}
    rows: list[list[str]] = []
    if len(summary.signals) > 1:
        rows += [[_escaped(name), points(mean), "", "", ""] for name, mean in
                 summary.signals.items()]  # fmt: skip
    for tag, part in summary.slices.items():
        name, pair = _escaped(f"tag {tag}"), pairs.get(tag)
        if pair is None:
            rows.append([name, points(part.mean), "", "", str(part.n)])
        else:
            means = [points(pair.mean), points(pair.other), signed(pair.delta)]
            rows.append([name, *means, str(pair.n)])
    if not rows:
        return
    yield ""
    yield "| part | mean | baseline | delta | n |" if comparison else "| part | mean | n |"
    yield "|---|--:|--:|--:|--:|" if comparison else "|---|--:|--:|"
    for name, mean, other, delta, n in rows[:MOST_ROWS]:
        cells = [name, mean, other, delta, n] if comparison else [name, mean, n]
        yield f"| {' | '.join(cells)} |"
    yield from _rest(len(rows), "part")


def _imperfect(measured: Measured) -> Iterator[str]:
    found = [cell for cell in measured.cells if cell.reward is None or cell.reward < PASSES]
    if not found:
        return
    yield ""
    yield "<details><summary>Not perfect</summary>"
    yield ""
    yield "| row | reward | why |"
    yield "|---|--:|---|"
    for cell in found[:MOST_ROWS]:
        why = "; ".join(f"{failure.source}: {failure.message}" for failure in cell.failures)
        shown = _escaped(one_line(why, 300))
        yield f"| {_escaped(cell.example)} | {reward_text(cell.reward)} | {shown} |"
    yield from _rest(len(found), "cell")
    yield ""
    yield "</details>"


def _rest(count: int, word: str) -> Iterator[str]:
    if count > MOST_ROWS:
        yield ""
        yield f"and {counted(count - MOST_ROWS, word)} more."


def _escaped(text: str) -> str:
    """Return a text on one line that Markdown shows as it is: what a model wrote is data."""
    return _SPECIAL.sub(r"\\\1", one_line(text, _LONGEST))
