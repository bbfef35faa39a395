"""Metrics that compare numbers within a tolerance, in exact fractions."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from dse_cli.contracts.metrics.values import Number, Numeric
from dse_cli.evaluation.json_values import is_number, kind_of, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, expected_at, wrong

_CURRENCY: Final = "[$€£¥₹₽₩₺₴¢]"
#: Narrow spaces between groups, the apostrophe of a Swiss text, minus sign and en dash.
_MARKS: Final = str.maketrans(
    {"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2019": "'", "\u2212": "-", "\u2013": "-"}
)
#: Nobody means a longer one, and arithmetic on it is not free.
_MAX_DIGITS: Final = 400


def numeric(config: Numeric, sample: Sample) -> MetricResult:
    """Return 1 when a number is within max(abs_tolerance, rel_tolerance x abs(expected)).

    Computed in decimal fractions as written, so that 1.1 is within 0.1 of 1.
    """
    wanted = expected_at(sample.expected, config.field)
    if not is_number(wanted):
        raise MetricError(f"expected.{config.field} is {kind_of(wanted)}, not a number")
    got = value_at(sample.output, config.field)
    if not is_number(got):
        return wrong(config.field, got, f"the number {shown(wanted)}")
    allowed = tolerance(fraction(wanted), config.abs_tolerance, config.rel_tolerance)
    if abs(fraction(got) - fraction(wanted)) <= allowed:
        return RIGHT
    return wrong(config.field, got, f"{shown(wanted)}{_around(allowed)}")


def number(config: Number, sample: Sample) -> MetricResult:
    """Return 1 when the one number in a text is within the tolerance.

    Currency and percent signs, and other words, are no obstacle. A text with no number or with
    several is wrong: which one is meant would be a guess.
    """
    wanted = expected_at(sample.expected, config.field)
    targets = _numbers(wanted, config)
    if len(targets) != 1:
        raise MetricError(f"expected.{config.field} is {shown(wanted)}, which is not one number")
    got = value_at(sample.output, config.field)
    found = _numbers(got, config)
    target = targets[0]
    allowed = tolerance(target, config.abs_tolerance, config.rel_tolerance)
    words = f"the number {_plain(target)}{_around(allowed)}"
    if len(found) != 1:
        holds = "no number" if not found else f"{len(found)} numbers"
        result = wrong(config.field, got, words)
        return result._replace(feedback=f"{result.feedback}; it holds {holds} as it is written")
    if abs(found[0] - target) <= allowed:
        return RIGHT
    result = wrong(config.field, got, words)
    if isinstance(got, str):
        return result._replace(feedback=f"{result.feedback}; it reads as {_plain(found[0])}")
    return result


def fraction(value: float) -> Fraction:
    """Return the number as it is written, not as its nearest binary fraction."""
    return Fraction(repr(value))


def tolerance(target: Fraction, absolute: float, relative: float) -> Fraction:
    """Return the greater of the two tolerances."""
    return max(fraction(absolute), fraction(relative) * abs(target))


def _around(allowed: Fraction) -> str:
    return f" give or take {_plain(allowed, 6)}" if allowed else ""


def _plain(value: Fraction, digits: int = 15) -> str:
    """Return a number for people; one that no float can hold comes from a text like 1e999."""
    try:
        return f"{float(value):.{digits}g}"
    except OverflowError:
        return "beyond 1e308"


def _numbers(value: Any, config: Number) -> list[Fraction]:
    """Return the numbers in a text, or the number itself; nothing for any other value."""
    if is_number(value):
        return [fraction(value)]
    if not isinstance(value, str):
        return []
    found = _pattern(config.decimal, config.thousands).finditer(value.translate(_MARKS))
    matches = list(found)
    if any(len(match["digits"]) > _MAX_DIGITS for match in matches):
        return []
    return [_read(match, config) for match in matches]


def _read(match: re.Match[str], config: Number) -> Fraction:
    digits = match["digits"]
    if config.thousands:
        digits = digits.replace(config.thousands, "")
    value = Fraction(digits.replace(config.decimal, ".") + (match["exponent"] or ""))
    return -value if match["sign"] == "-" else value


@lru_cache(maxsize=16)
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    mark, group = re.escape(decimal), re.escape(thousands)
    whole = "[0-9]+"
    if thousands:
        whole = f"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+(?![0-9])|[0-9]+)"
    return re.compile(
        # A hyphen inside a word ("route-66") is no minus.
        rf"(?:(?<!\w)(?P<sign>[+-]){_CURRENCY}?)?"
        rf"(?P<digits>{whole}(?:{mark}[0-9]+)?|{mark}[0-9]+)"
        r"(?P<exponent>[eE][+-]?[0-9]{1,3}(?![0-9]))?"
    )
