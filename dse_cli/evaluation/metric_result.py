"""What a metric is given, and what it returns: one shape for every metric, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

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
