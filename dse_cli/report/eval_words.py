"""The parts of an evaluation in words, as terminal, Markdown and JUnit spell them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import short
from dse_cli.evaluation.views.words import signed
from dse_cli.report.plain import counted, dollars, one_line, points

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import EvalSummary, JudgeSummary
    from dse_cli.evaluation.views.outcomes import Outcomes
    from dse_cli.report.eval_report import Comparison, EvalReport

_LONGEST_ANSWER: Final = 200  #: characters of an answer on its line
_TEXTS: Final = (120, 60, 30, 12)  #: characters of a text inside of it, until all of it fits
_ITEMS: Final = 5  #: of a list inside of it


def rows_text(report: EvalReport) -> str:
    """Return which rows were measured: ``5 of 75 rows of val (--limit 5), seed 7``."""
    count, total = len(report.rows), report.split_rows
    rows = counted(count, "row") if count == total else f"{count:,} of {counted(total, 'row')}"
    filters = f" ({one_line(report.filters)})" if report.filters else ""
    groups = "" if report.groups is None else f" in {counted(report.groups, 'group')}"
    rollouts = "" if report.rollouts == 1 else f", {report.rollouts} rollouts a row"
    return f"{rows} of {report.split}{filters}{groups}{rollouts}, seed {report.seed}"


def answer_text(output: Any, fields: Sequence[str] = ()) -> str:
    """Return an answer as JSON on one line: long texts are cut inside it, so that no field is lost.

    Args:
        fields: of the signature, in its order; others come after them.
    """
    if isinstance(output, dict):
        names = [name for name in fields if name in output]
        output = {name: output[name] for name in [*names, *(k for k in output if k not in names)]}
    text = json.dumps(output, ensure_ascii=False)
    for most in _TEXTS:
        if len(text) <= _LONGEST_ANSWER:
            break
        text = json.dumps(_cut(output, most), ensure_ascii=False)
    return one_line(text, _LONGEST_ANSWER)


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= most else value[: most - 1] + "…"
    if isinstance(value, list):
        shown = [_cut(item, most) for item in value[:_ITEMS]]
        return shown if len(value) <= _ITEMS else [*shown, "…"]
    if isinstance(value, dict):
        return {name: _cut(item, most) for name, item in value.items()}
    return value


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


def delta_text(comparison: Comparison, *, interval: bool = True) -> str:
    """Return a difference, with its interval when asked for, short."""
    test = comparison.test
    if test.n == 0:
        return "no pair"
    if not interval:
        return signed(test.delta)
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
