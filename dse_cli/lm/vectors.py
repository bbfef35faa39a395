"""Embedding vectors as exact small integers, and how alike two of them are.

A vector is scaled so that its largest component is 127 and rounded, once, at the edge where it
comes in (Jacob et al. 2018, symmetric int8). From then on there are no floats: what is cached,
recorded and indexed is the same short text, and similarity is decided by integers alone, so that
no machine and no library can order two demos differently.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from operator import mul
from typing import Final

Vector = tuple[int, ...]

#: Largest absolute value of a component; every vector has one such component.
LARGEST: Final = 127
#: No embedder gives more; what is longer is no vector.
MOST_DIMENSIONS: Final = 65_536
_SPELLED: Final = {str(value): value for value in range(-LARGEST, LARGEST + 1)}


def quantise(values: Sequence[float]) -> Vector:
    """Return a vector as integers from -127 to 127, by its direction alone.

    Raises:
        ValueError: it is empty, too long, all zero, or holds what is no finite number.
    """
    if not values or len(values) > MOST_DIMENSIONS:
        raise ValueError(f"it has {len(values)} numbers")
    if not set(map(type, values)) <= {int, float}:
        raise ValueError("it holds something that is no number")
    try:
        is_finite = all(map(math.isfinite, values))
    except OverflowError:  # an integer that no float is as large as
        is_finite = False
    if not is_finite:
        raise ValueError("it holds a number that is not finite")
    largest = max(map(abs, values))
    if largest == 0.0:
        raise ValueError("all its numbers are zero")
    return tuple(round(value / largest * LARGEST) for value in values)


def vector_text(vector: Vector) -> str:
    """Return the canonical JSON of a vector: the text of an embedder's response."""
    # Python spells an integer as canonical JSON does.
    return f"[{','.join(map(str, vector))}]"


def read_vector(text: str) -> Vector:
    """Read what :func:`vector_text` wrote.

    Raises:
        ValueError: it is anything else.
    """
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError("it is not a list of numbers")
    try:
        # One look-up a number reads it and refuses every other spelling of it.
        found = tuple(map(_SPELLED.__getitem__, text[1:-1].split(",")))
    except KeyError:
        message = f"it holds something else than plain integers from -{LARGEST} to {LARGEST}"
        raise ValueError(message) from None
    if len(found) > MOST_DIMENSIONS or max(map(abs, found)) != LARGEST:
        raise ValueError("it is not a quantised vector")
    return found


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
