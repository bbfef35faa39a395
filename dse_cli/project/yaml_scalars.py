"""What a plain YAML scalar means: the YAML 1.2 words for null and booleans, numbers as in JSON.

``yes``, ``no``, ``on``, ``off``, ``1_000``, ``017``, ``0x1F``, ``12:30:45``, ``2024-01-01``, ``.5``
and ``.inf`` are texts. One rule is easy to remember: a number is a number when JSON would say so.
"""

from __future__ import annotations

import math
import re
from typing import Final

from dse_cli.project.document import MAX_INTEGER, Scalar

_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class NumberTooLargeError(ValueError):
    """The number has no exact (integer) or no finite (float) form that all JSON readers share."""


def resolve_plain(text: str) -> Scalar:
    """Return the value of a plain (unquoted) scalar.

    Raises:
        NumberTooLargeError: an integer beyond 2^53 - 1, or a float that overflows.
    """
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INTEGER.fullmatch(text):
        return parse_integer(text)
    if _FLOAT.fullmatch(text):
        return parse_float(text)
    return text


def parse_integer(text: str) -> int:
    """Return a JSON integer.

    Raises:
        NumberTooLargeError: beyond 2^53 - 1 in size.
    """
    # The length is looked at first: int() of a very long text is slow, and refused by Python.
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        raise NumberTooLargeError("beyond 2^53 - 1, where JSON readers disagree")
    return int(text)


def parse_float(text: str) -> float:
    """Return a JSON number with a fraction or an exponent.

    Raises:
        NumberTooLargeError: it overflows to infinity.
    """
    number = float(text)
    if not math.isfinite(number):
        raise NumberTooLargeError("too large for a 64-bit float")
    return number
