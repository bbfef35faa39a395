"""What a metric is given, and what it returns: one shape for every metric, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

_LONGEST: Final = 100
_GREATEST_SHOWN: Final = 10**15
_PLAIN: Final = (bool, int, float, str, type(None))
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
    if isinstance(score, bool) or not isinstance(score, int | float):
        raise MetricScoreError(f"the score is {_named(score)}; expected a number")
    # NaN is in no interval, and an integer may be too large to become a float.
    if not 0 <= score <= 1:
        raise MetricScoreError(f"the score is {_named(score)}; expected a number from 0 to 1")
    return float(score)


def _named(score: Any) -> str:
    """Return a value in words that are the same in every process: no memory address is in them."""
    if isinstance(score, int) and abs(score) > _GREATEST_SHOWN:
        return f"an integer beyond {_GREATEST_SHOWN:.0e}"
    kind = "" if type(score) in (int, float) else f"of type {type(score).__name__}"
    if type(score) not in _PLAIN or len(repr(score)) > _LONGEST:
        return kind
    return f"{score!r}, {kind}" if kind else repr(score)
