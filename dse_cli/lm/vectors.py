"""Embedding vectors as exact small integers, and how alike two of them are.

A vector is scaled so that its largest component is 127 and rounded, once, at the edge where it
comes in (Jacob et al. 2018, symmetric int8). From then on there are no floats: what is cached,
recorded and indexed is the same short text, and similarity is decided by integers alone, so that
no machine and no library can order two demos differently.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from fractions import Fraction
from operator import mul
from typing import Final

from dse_cli.canonical import canonical_text

Vector = tuple[int, ...]

#: Largest absolute value of a component; every vector has one such component.
LARGEST: Final = 127
#: No embedder gives more; what is longer is no vector.
MOST_DIMENSIONS: Final = 65_536


def quantise(values: Sequence[float]) -> Vector:
    """Return a vector as integers from -127 to 127, by its direction alone.

    Raises:
        ValueError: it is empty, too long, all zero, or holds what is no finite number.
    """
    if not values or len(values) > MOST_DIMENSIONS:
        raise ValueError(f"it has {len(values)} numbers")
    largest = 0.0
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("it holds something that is no number")
        if not math.isfinite(value):
            raise ValueError("it holds a number that is not finite")
        largest = max(largest, abs(value))
    if largest == 0.0:
        raise ValueError("all its numbers are zero")
    return tuple(round(value / largest * LARGEST) for value in values)


def vector_text(vector: Vector) -> str:
    """Return the canonical JSON of a vector: the text of an embedder's response."""
    return canonical_text(list(vector))


def read_vector(text: str) -> Vector:
    """Read what :func:`vector_text` wrote.

    Raises:
        ValueError: it is anything else.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    if not isinstance(found, list) or not found or len(found) > MOST_DIMENSIONS:
        raise ValueError("it is not a list of numbers")
    if any(type(value) is not int or abs(value) > LARGEST for value in found):
        raise ValueError(f"it holds something else than integers from -{LARGEST} to {LARGEST}")
    if max(map(abs, found)) != LARGEST or vector_text(tuple(found)) != text:
        raise ValueError("it is not spelled as a quantised vector")
    return tuple(found)


def similarity(left: Vector, right: Vector) -> Fraction:
    """Return the cosine of two vectors, squared with its sign kept: an exact rational number.

    Its order is the order of the cosines, and it needs no square root. 1 is the same direction, 0
    a right angle, -1 the opposite.

    Raises:
        ValueError: their lengths differ.
    """
    dot = product(left, right)
    return Fraction(dot * abs(dot), product(left, left) * product(right, right))


def product(left: Vector, right: Vector) -> int:
    """Return the dot product of two vectors; of one with itself, its squared length.

    Raises:
        ValueError: their lengths differ.
    """
    if len(left) != len(right):
        raise ValueError(f"it has {len(left)} numbers, not {len(right)}")
    return sum(map(mul, left, right))
