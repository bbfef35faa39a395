"""What a metric is given, and what it returns: one shape for every metric, whoever wrote it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_LONGEST: Final = 100
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Sample(NamedTuple):
    """One output with its example.

    Attributes:
        output: decoded; ``0``, ``""``, ``false`` and ``null`` are outputs.
        expected, input: of the row.
    """

    output: Any
    expected: Any
    input: Any


class MetricResult(NamedTuple):
    """A score in [0, 1], why it is not 1, and facts for reports.

    Attributes:
        score: in [0, 1].
        feedback: what stands there and what was expected, in words that a model can act on.
        metadata: JSON values by name (a confusion pair, a precision), never used to decide.
    """

    score: float
    feedback: str = ""
    metadata: Mapping[str, Any] = _NOTHING


class MetricError(ValueError):
    """The row's ``expected`` holds nothing that this metric could compare with."""


class MetricScoreError(ValueError):
    """A metric returned something that is not a score."""


def checked_score(score: Any) -> float:
    """Return what a metric gave as its score, if it is one. Nothing is clamped.

    Raises:
        MetricScoreError: not a number, or not in [0, 1]; says what it is.
    """
    what = f"the score is {score!r}" if len(repr(score)) <= _LONGEST else "the score is no number"
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise MetricScoreError(f"{what}, of type {type(score).__name__}; expected a number")
    if not math.isfinite(score) or not 0 <= score <= 1:
        raise MetricScoreError(f"{what}; expected a number from 0 to 1")
    return float(score)
