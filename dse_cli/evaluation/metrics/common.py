"""What metrics share: reading ``expected``, and the words of feedback."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from dse_cli.evaluation.json_values import MISSING, kind_of, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult

#: Feedback lists at most this many things of one kind.
MAX_LISTED: Final = 20
RIGHT: Final = MetricResult(1.0)


def expected_at(expected: Any, field: str) -> Any:
    """Return a field of ``expected``.

    Raises:
        MetricError: there is none.
    """
    wanted = value_at(expected, field)
    if wanted is MISSING:
        raise MetricError(f"expected has no field {field!r}")
    return wanted


def expected_texts(expected: Any, field: str) -> list[str]:
    """Return the text, or the texts of the list, that stand in a field of ``expected``.

    Raises:
        MetricError: there is none, or something there is no text.
    """
    wanted = expected_at(expected, field)
    texts = wanted if isinstance(wanted, list) else [wanted]
    if not texts:
        raise MetricError(f"expected.{field} lists no text")
    for text in texts:
        if not isinstance(text, str):
            raise MetricError(f"expected.{field} holds {shown(text)}, which is not a text")
    return texts


def expected_list(expected: Any, field: str) -> list[Any]:
    """Return the list that stands in a field of ``expected``.

    Raises:
        MetricError: there is none, or it is no list.
    """
    wanted = expected_at(expected, field)
    if not isinstance(wanted, list):
        raise MetricError(f"expected.{field} is {kind_of(wanted)}, not a list")
    return wanted


def mismatch(field: str, got: Any, wanted: str) -> str:
    """Return the feedback on a field that holds something else, or does not exist."""
    if got is MISSING:
        return f"{field}: the output has no such field, expected {wanted}"
    return f"{field}: got {shown(got)}, expected {wanted}"


def wrong(field: str, got: Any, wanted: str) -> MetricResult:
    """Return score 0 with :func:`mismatch`."""
    return MetricResult(0.0, mismatch(field, got, wanted))


def listed(items: Iterable[str], separator: str = ", ") -> str:
    """Return things in words, at most :data:`MAX_LISTED` of them, and how many more there are."""
    found = list(items)
    more = [f"and {len(found) - MAX_LISTED} more"] if len(found) > MAX_LISTED else []
    return separator.join(found[:MAX_LISTED] + more)


def or_list(values: Iterable[Any]) -> str:
    """Return values in words: ``"a" or "b"``."""
    return listed((shown(value) for value in values), " or ")
