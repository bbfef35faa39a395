"""An evaluation as lines for a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import short
from dse_cli.evaluation.gate.verdict import gate_line
from dse_cli.evaluation.summary import PASSES
from dse_cli.evaluation.views.words import signed
from dse_cli.report.plain import counted, dollars, one_line, points

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell, EvalSummary, JudgeSummary
    from dse_cli.evaluation.views.outcomes import Outcomes
    from dse_cli.evaluation.views.paired_rows import RowPair
    from dse_cli.report.eval_report import Comparison, EvalReport, Measured

#: Rows won, and rows lost, that are listed; ``--rows`` lists all.
MOST_ROWS: Final = 5
#: Confused pairs that are listed.
MOST_PAIRS: Final = 5
_LABEL: Final = 28
_WIDEST: Final = 44


def eval_lines(report: EvalReport, *, every_row: bool = False) -> Iterator[str]:
    """Yield an evaluation: the table, then what it compares, then where it fails.

    Args:
        every_row: list all rows won and lost, and why each imperfect cell is not perfect.
    """
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
            if len(report.measured) > 1:
                yield ""
                yield f"{measured.label}, row by row:"
            yield from row_lines(measured.cells)


def row_lines(cells: Sequence[Cell]) -> Iterator[str]:
    """Yield why each imperfect cell is not perfect."""
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
            yield f"  answered {one_line(json.dumps(cell.output, ensure_ascii=False))}"


def reward_text(reward: float | None) -> str:
    """Return the reward of a cell in points; an outage has none."""
    return "outage" if reward is None else points(reward)


def tokens_text(summary: EvalSummary) -> str:
    """Return the tokens of a policy, ``?`` when a part of them is unknown."""
    if summary.prompt_tokens is None or summary.completion_tokens is None:
        return "?"
    return str(summary.prompt_tokens + summary.completion_tokens)


def cost_text(summary: EvalSummary) -> str:
    """Return the money charged to a policy."""
    return "unknown" if summary.cost.kind == "unknown" else dollars(summary.cost.nano_usd)


def interval_text(summary: EvalSummary) -> str:
    """Return the 95 % interval of the mean, empty when there is no mean."""
    interval = summary.interval
    return "" if interval is None else f"{points(interval.low)} to {points(interval.high)}"


def delta_text(comparison: Comparison) -> str:
    """Return a difference with its interval, short."""
    test = comparison.test
    if test.n == 0:
        return "no pair"
    low, high = signed(test.low), signed(test.high)
    return f"{signed(test.delta)} ({low} to {high})"


def won_text(comparison: Comparison) -> str:
    """Return how many rows went which way, and what that cost."""
    won, lost = comparison.rows
    return f"{counted(len(won), 'row')} won, {len(lost)} lost; {_usage(comparison)}"


def _usage(comparison: Comparison) -> str:
    """Return what the policy used more, or less, than the other one."""
    tokens = "unknown" if comparison.tokens is None else f"{comparison.tokens:+,}"
    cost = comparison.cost_nano_usd
    money = "unknown" if cost is None else dollars(cost, sign=True)
    return f"tokens {tokens}, cost {money}, on the same rows"


def judge_text(signal: str, judge: JudgeSummary) -> str:
    """Return who judged, and what that took; it is not in the policy's own numbers."""
    cost = "cost unknown" if judge.cost.kind == "unknown" else dollars(judge.cost.nano_usd)
    line = (
        f"{signal}: {judge.signature_id} {short(judge.compiled_id)} on "
        f"{', '.join(judge.models) or 'no model'}, {counted(judge.judged, 'answer')}, "
        f"{counted(judge.lm_calls, 'call')}, {cost}"
    )
    if judge.disagreements is not None:
        line += f", the two orders disagreed on {judge.disagreements}"
    return line


def outcome_text(outcomes: Outcomes) -> str:
    """Return how the cells ended; outages stand apart from what the policy got wrong."""
    parts = [f"{outcomes.perfect} perfect", f"{outcomes.imperfect} imperfect"]
    if outcomes.decode:
        parts.append(f"{outcomes.decode} did not decode")
    answered = outcomes.cells - outcomes.without_answer
    line = f"{counted(answered, 'answer')}: {', '.join(parts)}"
    if outcomes.outages:
        kinds = ", ".join(f"{kind} {count}" for kind, count in outcomes.outages.items())
        line += f"; {outcomes.without_answer} without an answer ({kinds})"
    return line


def _table(report: EvalReport) -> Iterator[str]:
    longest = max(len(measured.label) for measured in report.all_measured)
    width = min(_WIDEST, max(_LABEL, longest))
    delta = "  delta" if report.by_model and report.baseline is not None else ""
    yield (
        f"{'policy':<{width}} {'mean':>6}  {'95 % CI':<14} {'n':>5} {'outages':>8} {'tokens':>9} "
        f"{'cost':>9}{delta}"
    )
    for measured in report.all_measured:
        shown = f"  {delta_text(measured.comparison)}" if delta and measured.comparison else ""
        yield _line(measured, width) + shown


def _line(measured: Measured, width: int) -> str:
    summary = measured.summary
    return (
        f"{measured.label[:width]:<{width}} {points(summary.mean):>6}  "
        f"{interval_text(summary):<14} {summary.n:>5} {measured.outcomes.without_answer:>8} "
        f"{tokens_text(summary):>9} "
        f"{cost_text(summary):>9}"
    )


def _notes(report: EvalReport) -> Iterator[str]:
    groups = report.groups
    if groups is not None:
        yield ""
        rows, clusters = counted(len(report.rows), "row"), counted(groups, "group")
        yield f"{rows} in {clusters}: intervals and tests are over groups"


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
    for pair in pairs[:most]:
        yield f"  {word:<5} {pair.id:<24} {points(pair.other):>5} -> {points(pair.reward):>5}"
    if most and len(pairs) > most:
        yield f"  {word:<5} and {len(pairs) - most} more; --rows lists them"


def _breakdown(measured: Measured) -> Iterator[str]:
    summary = measured.summary
    if len(summary.signals) > 1:
        yield ""
        for name, mean in summary.signals.items():
            yield f"  {name:<26} {points(mean):>6}"
    if summary.slices:
        yield ""
        for tag, part in summary.slices.items():
            yield f"  {'tag ' + one_line(tag):<26} {points(part.mean):>6}  {'':<14} {part.n:>5}"
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
