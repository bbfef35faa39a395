from __future__ import annotations

import json
import math
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dse_cli.lm.vectors import LARGEST, Vector, quantise, read_vector, similarity, vector_text

FLOATS = st.floats(-1e6, 1e6, allow_nan=False, allow_infinity=False)
DIMENSIONS = st.shared(st.integers(1, 40), key="dimensions")
RAW = DIMENSIONS.flatmap(lambda size: st.lists(FLOATS, min_size=size, max_size=size))
#: Ordinary embeddings: no component so large that all others round to nothing.
EVEN = DIMENSIONS.flatmap(
    lambda size: st.lists(
        st.floats(0.05, 1).flatmap(lambda x: st.sampled_from([x, -x])),
        min_size=size,
        max_size=size,
    )
)


def cosine(left: list[float], right: list[float]) -> float:
    dot = math.fsum(one * other for one, other in zip(left, right, strict=True))
    norms = math.sqrt(math.fsum(x * x for x in left)) * math.sqrt(math.fsum(x * x for x in right))
    return dot / norms


def rounding(vector: list[float]) -> float:
    """How far, in radians, quantising may turn a vector: half a step in every direction."""
    step = max(map(abs, vector)) / LARGEST
    norm = math.sqrt(math.fsum(x * x for x in vector))
    return math.asin(min(1.0, 0.5 * step * math.sqrt(len(vector)) / norm))


@settings(max_examples=300)
@given(RAW)
def test_a_quantised_vector_has_small_integers_and_its_text_reads_back(raw: list[float]) -> None:
    assume(any(raw))
    vector = quantise(raw)
    assert all(type(value) is int and abs(value) <= LARGEST for value in vector)
    assert max(map(abs, vector)) == LARGEST
    assert read_vector(vector_text(vector)) == vector


@settings(max_examples=300)
@given(EVEN, st.integers(-20, 20))
def test_only_the_direction_counts(raw: list[float], power: int) -> None:
    assert quantise([value * 2.0**power for value in raw]) == quantise(raw)


@settings(max_examples=500)
@given(EVEN, EVEN, EVEN)
def test_the_order_is_that_of_the_float_cosines_wherever_rounding_leaves_no_doubt(
    query: list[float], one: list[float], other: list[float]
) -> None:
    left, right = cosine(query, one), cosine(query, other)
    doubt = 2 * rounding(query) + rounding(one) + rounding(other) + 1e-9
    angles = [math.acos(max(-1.0, min(1.0, value))) for value in (left, right)]
    assume(abs(angles[0] - angles[1]) > doubt)
    asked = quantise(query)
    exact = similarity(asked, quantise(one)) > similarity(asked, quantise(other))
    assert exact == (left > right)


@settings(max_examples=300)
@given(EVEN, EVEN)
def test_similarity_is_the_exact_signed_square_of_the_cosine(
    one: list[float], other: list[float]
) -> None:
    left, right = quantise(one), quantise(other)
    found = similarity(left, right)
    assert isinstance(found, Fraction)
    assert found == similarity(right, left)
    assert -1 <= found <= 1
    value = cosine([float(x) for x in left], [float(x) for x in right])
    assert float(found) == pytest.approx(value * abs(value), abs=1e-12)
    assert similarity(left, left) == 1


def test_a_longer_vector_is_not_more_alike_for_being_long() -> None:
    query: Vector = (127, 0)
    assert similarity(query, (127, 127)) < similarity(query, (127, 1))


@pytest.mark.parametrize(
    "values",
    [[], [0.0, 0.0], [1.0, math.nan], [math.inf], [True], ["1"], [None], [[1.0]], [10**400]],
)
def test_what_is_no_direction_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        quantise(values)


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "[1]", "[127,128]", "[127.0]", "[127, 1]", "[true,127]", "[127", '["127"]'],
)
def test_only_the_text_of_a_quantised_vector_is_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_vector(text)


def test_vectors_of_another_length_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match=r"."):
        similarity((127,), (127, 1))


def test_the_text_is_canonical_json() -> None:
    assert vector_text(quantise([1, -0.5, 0.001])) == "[127,-64,0]"
    assert json.loads("[127,-64,0]") == list(read_vector("[127,-64,0]"))
