from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.job import SearchSpace
from dse_cli.optimizers.scheduling.rungs import FEWEST_ROWS, rung_order, rung_sizes
from dse_cli.optimizers.search import Search
from tests.evaluation.cells import FakeRunner, make_cell, make_engine, make_rows
from tests.runtime.policies import make_policy

calm = settings(deadline=None, max_examples=80, derandomize=True)


def started(right: set[int], rows: int = 40, seed: int = 7, *, is_reversed: bool = False) -> Search:
    """A search whose base is right on some rows."""
    names = {f"v{index:03d}" for index in right}
    runner = FakeRunner(lambda task: make_cell(task, reward=float(task.row.id in names)))
    val = make_rows(rows, prefix="v")
    search = Search.start(
        make_engine(runner),
        make_policy(),
        train=(),
        val=val[::-1] if is_reversed else val,
        space=SearchSpace(),
        seed=seed,
    )
    asyncio.run(search.try_base())
    return search


def test_the_order_holds_every_row_once_and_is_drawn_with_the_seed() -> None:
    first = [row.id for row in rung_order(started(set(range(20))))]
    assert sorted(first) == [row.id for row in make_rows(40, prefix="v")]
    assert first != sorted(first)
    assert [row.id for row in rung_order(started(set(range(20)), is_reversed=True))] == first
    assert [row.id for row in rung_order(started(set(range(20)), seed=0))] != first


@pytest.mark.parametrize("right", [0, 4, 10, 33, 40])
def test_every_prefix_is_as_easy_as_val_up_to_a_row(right: int) -> None:
    order = rung_order(started(set(range(right))))
    for size in range(1, 41):
        seen = sum(int(row.id[1:]) < right for row in order[:size])
        assert abs(seen - size * right / 40) <= 1


def test_sizes_grow_to_all_rows() -> None:
    assert rung_sizes(100, 0.1, 1.5) == [10, 15, 23, 34, 51, 76, 100]
    assert rung_sizes(24, 0.1, 1.25) == [5, 7, 8, 10, 13, 16, 20, 24]
    assert rung_sizes(5, 0.1, 1.25) == [5]


@calm
@given(st.integers(1, 400), st.floats(0.01, 0.99), st.floats(1.01, 4))
def test_sizes_are_distinct_in_order_and_end_with_all(rows, first, growth) -> None:
    sizes = rung_sizes(rows, first, growth)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == rows
    assert min(sizes) >= min(rows, FEWEST_ROWS)
