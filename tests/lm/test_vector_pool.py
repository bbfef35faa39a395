from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.lm import vector_pool
from dse_cli.lm.vector_pool import VectorPool
from dse_cli.lm.vectors import LARGEST, MOST_DIMENSIONS, Vector, similarity

#: Few different components, so that equal and nearly equal similarities are common.
COMPONENTS = st.sampled_from([0, 1, 2, 126, LARGEST, -1, -126, -LARGEST])
DIMENSIONS = st.shared(st.integers(1, 6), key="dimensions")
VECTORS = DIMENSIONS.flatmap(
    lambda size: st.lists(COMPONENTS, min_size=size, max_size=size).filter(
        lambda found: max(map(abs, found)) == LARGEST
    )
).map(tuple)


def ranks(values: list[object]) -> list[int]:
    """Return the place of each value among the distinct ones."""
    places = sorted(set(values))  # type: ignore[type-var]
    return [places.index(value) for value in values]


@settings(max_examples=300)
@given(VECTORS, st.lists(VECTORS, min_size=1, max_size=12))
def test_the_order_and_the_ties_are_those_of_the_exact_similarity(
    query: Vector, vectors: list[Vector]
) -> None:
    pool = VectorPool(vectors)
    found = pool.likeness(query)
    assert ranks(list(found)) == ranks([similarity(query, vector) for vector in vectors])


@settings(max_examples=100)
@given(VECTORS, st.lists(VECTORS, min_size=1, max_size=12))
def test_numpy_gives_the_same_integers(query: Vector, vectors: list[Vector]) -> None:
    plain = VectorPool(vectors).likeness(query)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(vector_pool, "PLAIN_WORK", 0)
        assert VectorPool(vectors).likeness(query) == plain


@pytest.mark.parametrize("plain_work", [0, vector_pool.PLAIN_WORK])
def test_the_longest_vectors_overflow_nothing(
    monkeypatch: pytest.MonkeyPatch, plain_work: int
) -> None:
    monkeypatch.setattr(vector_pool, "PLAIN_WORK", plain_work)
    most: Vector = (LARGEST,) * MOST_DIMENSIONS
    nearly: Vector = (*most[:-1], LARGEST - 1)
    other: Vector = (-LARGEST,) * MOST_DIMENSIONS
    same, close, against = VectorPool([most, nearly, other]).likeness(most)
    assert same > close > 0
    assert against == -same


def test_a_vector_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="it has 1 numbers, not 2"):
        VectorPool([(127, 0)]).likeness((127,))
    assert VectorPool([]).likeness((127,)) == []


def test_one_input_and_a_usual_pool_do_not_import_numpy() -> None:
    code = """
import sys
from dse_cli.runtime.demo_selection import VectorPool
pool = VectorPool([(127, n % 7) * 512 for n in range(200)])
pool.likeness((1, 127) * 512)
assert "numpy" not in sys.modules
for _ in range(20):
    pool.likeness((1, 127) * 512)
assert "numpy" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
