"""From the answers of a judge to a metric result, or to why there is none.

A judge that cannot be understood, or is down, says nothing of the output: that is an outage of the
cell, never a 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import short
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.metrics.judges import WINNERS, PairwiseJudge
from dse_cli.evaluation.json_values import is_number, shown, value_at
from dse_cli.evaluation.judges.pinned_judge import ORDERS
from dse_cli.evaluation.metric_result import MetricResult

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.judges import Judge
    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
    from dse_cli.runtime.prediction import Prediction

_POINTS: Final = {"win": 1.0, "tie": 0.5, "loss": 0.0}
_THAN: Final = {"win": "better than", "tie": "as good as", "loss": "worse than"}


def verdict(judge: PinnedJudge, answers: Sequence[Prediction]) -> MetricResult | CellError:
    """Return what the answers of one judge, one for each question, come to."""
    for answer in answers:
        if answer.error is not None:
            return _outage(judge, answer.error)
    outputs = [answer.output for answer in answers]
    if isinstance(judge.config, PairwiseJudge):
        return _comparison(judge, judge.config, outputs)
    return _score(judge, judge.config, outputs[0])


def _outage(judge: PinnedJudge, error: CellError) -> CellError:
    """Return a judge's error as one of the cell: the policy under test is not to blame for it."""
    name = f"{judge.signal} ({short(judge.policy.id)})"
    if error.kind != "decode":
        return CellError(error.kind, f"{name}: {error.message}")
    where = f"{error.field}: " if error.field else ""
    message = f"{name}: the judge's answer could not be read: {where}{error.message}"
    return CellError("metric", message)


def _score(judge: PinnedJudge, config: Judge, output: Any) -> MetricResult | CellError:
    value = value_at(output, config.score)
    low, high = config.scale
    if not is_number(value) or not low <= value <= high:
        message = f"{config.score} is {shown(value)}, not a number from {low:g} to {high:g}"
        return _outage(judge, CellError("metric", message))
    share = (value - low) / (high - low)
    return MetricResult(share, _note(config.feedback, output), {"score": value})


def _comparison(
    judge: PinnedJudge, config: PairwiseJudge, outputs: Sequence[Any]
) -> MetricResult | CellError:
    words = [value_at(output, config.winner) for output in outputs]
    for word in words:
        if word not in WINNERS:
            message = f"{config.winner} is {shown(word)}, not one of {', '.join(WINNERS)}"
            return _outage(judge, CellError("metric", message))
    first, second = (_for_ours(word, order) for word, order in zip(words, ORDERS, strict=True))
    disagreed = {first, second} == {"win", "loss"}
    notes = [_note(config.feedback, output) for output in outputs]
    return MetricResult(
        math.fsum((_POINTS[first], _POINTS[second])) / 2,
        _pair_feedback(first, second, notes),
        {"first": first, "second": second, "disagreed": disagreed},
    )


def _for_ours(word: str, order: str) -> str:
    """Return whether the answer under test won; it stood first in order ``ab``."""
    if word == "tie":
        return "tie"
    return "win" if (word == "a") == (order == "ab") else "loss"


def _pair_feedback(first: str, second: str, notes: Sequence[str]) -> str:
    if {first, second} == {"win", "loss"}:
        place = "first" if first == "win" else "second"
        head = f"the judge preferred whichever answer stood {place}, which counts as a tie"
    elif first == second:
        head = f"{_THAN[first]} the reference answer, in both orders"
    else:
        head = (
            f"{_THAN[first]} the reference answer when shown first, {_THAN[second]} it when "
            "shown second"
        )
    places = zip(("shown first", "shown second"), notes, strict=True)
    return "; ".join([head, *(f"{place}: {note}" for place, note in places if note)])


def _note(path: str | None, output: Any) -> str:
    value = None if path is None else value_at(output, path)
    return value.strip() if isinstance(value, str) else ""
