"""The metrics: what one signal says of one output.

A metric is a function of (config, output, expected, input) that returns a score in [0, 1] and
feedback in words that a model can act on: what stands there, and what was expected. It sees
outputs only; that there was none is the reward's business. ``0``, ``""``, ``false`` and ``null``
are outputs. A row that a metric cannot judge is a :class:`MetricError`, never a silent 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Final, NamedTuple

from dse_cli.contracts.reward import (
    Contains,
    ExactMatch,
    FormatValidity,
    MetricConfig,
    Numeric,
    OneOf,
    Regex,
)
from dse_cli.evaluation.json_values import (
    MISSING,
    equal,
    is_number,
    kind_of,
    normalized,
    shown,
    value_at,
)
from dse_cli.evaluation.metric_result import MetricError, MetricResult

#: Feedback lists at most this many wrong fields of an output.
_MAX_LISTED: Final = 20


def format_validity(
    config: FormatValidity,  # noqa: ARG001 - all metrics are called alike
    output: Any,  # noqa: ARG001
    expected: Any,  # noqa: ARG001
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return 1: an output that is here did decode and fit its schema."""
    return MetricResult(1.0)


def exact_match(
    config: ExactMatch,
    output: Any,
    expected: Any,
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return 1 when the output, or one field of it, equals what was expected, as JSON values."""
    if config.field is None:
        got, wanted = normalized(output, config.normalize), normalized(expected, config.normalize)
        if equal(got, wanted):
            return MetricResult(1.0)
        return MetricResult(0.0, _differences(got, wanted))
    wanted = _expected_at(expected, config.field)
    got = value_at(output, config.field)
    if equal(normalized(got, config.normalize), normalized(wanted, config.normalize)):
        return MetricResult(1.0)
    return MetricResult(0.0, _mismatch(config.field, got, shown(wanted)))


def one_of(
    config: OneOf,
    output: Any,
    expected: Any,
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return 1 when a field equals one of the values that ``expected`` lists under its name."""
    wanted = _expected_at(expected, config.field)
    choices = wanted if isinstance(wanted, list) else [wanted]
    if not choices:
        raise MetricError(f"expected.{config.field} lists no value")
    got = value_at(output, config.field)
    seen = normalized(got, config.normalize)
    if any(equal(seen, normalized(choice, config.normalize)) for choice in choices):
        return MetricResult(1.0)
    words = " or ".join(shown(choice) for choice in choices)
    return MetricResult(0.0, _mismatch(config.field, got, words))


def contains(
    config: Contains,
    output: Any,
    expected: Any,
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return the share of the expected texts that stand in a field of the output."""
    wanted = _expected_at(expected, config.field)
    texts = wanted if isinstance(wanted, list) else [wanted]
    if not texts:
        raise MetricError(f"expected.{config.field} lists no text")
    for text in texts:
        if not isinstance(text, str) or not normalized(text, config.normalize):
            raise MetricError(f"expected.{config.field} holds {shown(text)}, which is not a text")
    got = value_at(output, config.field)
    if not isinstance(got, str):
        words = "a text with " + ", ".join(map(shown, texts))
        return MetricResult(0.0, _mismatch(config.field, got, words))
    seen = normalized(got, config.normalize)
    absent = [text for text in texts if normalized(text, config.normalize) not in seen]
    if not absent:
        return MetricResult(1.0)
    feedback = f"{config.field}: {shown(got)} does not contain {', '.join(map(shown, absent))}"
    return MetricResult((len(texts) - len(absent)) / len(texts), feedback)


def regex(
    config: Regex,
    output: Any,
    expected: Any,  # noqa: ARG001
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return 1 when the whole of a text field matches the pattern."""
    got = value_at(output, config.field)
    if isinstance(got, str) and re.fullmatch(config.pattern, got):
        return MetricResult(1.0)
    return MetricResult(0.0, _mismatch(config.field, got, f"a text of the form {config.pattern}"))


def numeric(
    config: Numeric,
    output: Any,
    expected: Any,
    input: Any,  # noqa: A002, ARG001
) -> MetricResult:
    """Return 1 when a number is within max(abs_tolerance, rel_tolerance x abs(expected)).

    Computed in decimal fractions as written, so that 1.1 is within 0.1 of 1.
    """
    wanted = _expected_at(expected, config.field)
    if not is_number(wanted):
        raise MetricError(f"expected.{config.field} is {kind_of(wanted)}, not a number")
    got = value_at(output, config.field)
    if not is_number(got):
        return MetricResult(0.0, _mismatch(config.field, got, f"the number {shown(wanted)}"))
    target = _fraction(wanted)
    allowed = max(_fraction(config.abs_tolerance), _fraction(config.rel_tolerance) * abs(target))
    if abs(_fraction(got) - target) <= allowed:
        return MetricResult(1.0)
    around = f" give or take {float(allowed):g}" if allowed else ""
    return MetricResult(0.0, _mismatch(config.field, got, f"{shown(wanted)}{around}"))


class Metric(NamedTuple):
    """A metric with its version; a new version is a new reward."""

    id: str
    score: Callable[[Any, Any, Any, Any], MetricResult]
    config: type[MetricConfig]


#: Every metric by the key it has in a reward.
METRICS: Final[dict[str, Metric]] = {
    "format_validity": Metric("format_validity.v1", format_validity, FormatValidity),
    "exact_match": Metric("exact_match.v1", exact_match, ExactMatch),
    "one_of": Metric("one_of.v1", one_of, OneOf),
    "contains": Metric("contains.v1", contains, Contains),
    "regex": Metric("regex.v1", regex, Regex),
    "numeric": Metric("numeric.v1", numeric, Numeric),
}


def _expected_at(expected: Any, field: str) -> Any:
    wanted = value_at(expected, field)
    if wanted is MISSING:
        raise MetricError(f"expected has no field {field!r}")
    return wanted


def _mismatch(field: str, got: Any, wanted: str) -> str:
    if got is MISSING:
        return f"{field}: the output has no such field, expected {wanted}"
    return f"{field}: got {shown(got)}, expected {wanted}"


def _differences(got: Any, wanted: Any) -> str:
    """Return what is wrong with a whole output, field by field where there are fields."""
    if not (isinstance(got, dict) and isinstance(wanted, dict)):
        return f"got {shown(got)}, expected {shown(wanted)}"
    found = [
        _mismatch(name, got.get(name, MISSING), shown(value))
        for name, value in sorted(wanted.items())
        if name not in got or not equal(got[name], value)
    ]
    found += [
        f"{name}: got {shown(value)}, expected no such field"
        for name, value in sorted(got.items())
        if name not in wanted
    ]
    more = [f"and {len(found) - _MAX_LISTED} more"] if len(found) > _MAX_LISTED else []
    return "; ".join(found[:_MAX_LISTED] + more)


def _fraction(number: float) -> Fraction:
    """Return the number as it is written, not as its nearest binary fraction."""
    return Fraction(repr(number))
