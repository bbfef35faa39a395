from __future__ import annotations

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.errors import NothingSelectedError, UsageError
from dse_cli.evaluation.datasets.selection import sample, with_ids, with_tags

ROWS = tuple(
    Row(f"r{i}", {"x": i}, {"y": i}, "train", tags=("even",) if i % 2 == 0 else ("odd", "rare"))
    for i in range(10)
)


def test_a_sample_keeps_the_order_of_the_rows_and_has_no_row_twice():
    drawn = sample(ROWS, 4, 1, "pool")
    assert len(drawn) == 4
    assert list(drawn) == [row for row in ROWS if row in drawn]


def test_the_same_rows_are_drawn_whatever_their_order():
    forward, backward = sample(ROWS, 5, 3, "p"), sample(ROWS[::-1], 5, 3, "p")
    assert forward == backward[::-1]


def test_another_seed_or_name_draws_other_rows():
    draws = {
        tuple(row.id for row in sample(ROWS, 4, seed, name))
        for seed in range(4)
        for name in ("a", "b")
    }
    assert len(draws) >= 7


def test_zero_is_a_seed_of_its_own():
    assert sample(ROWS, 5, 0, "a") != sample(ROWS, 5, 1, "a")


def test_asking_for_more_than_there_are_gives_all_and_for_none_gives_none():
    assert sample(ROWS, 99, 0, "a") == ROWS
    assert sample(ROWS, 0, 0, "a") == ()
    with pytest.raises(ValueError, match="-1"):
        sample(ROWS, -1, 0, "a")


def test_every_row_is_drawn_about_equally_often():
    counts = dict.fromkeys((row.id for row in ROWS), 0)
    for seed in range(1000):
        for row in sample(ROWS, 3, seed, "fair"):
            counts[row.id] += 1
    assert min(counts.values()) > 230
    assert max(counts.values()) < 370


def test_all_tags_must_be_there():
    assert [row.id for row in with_tags(ROWS, ["odd", "rare"])] == ["r1", "r3", "r5", "r7", "r9"]
    assert with_tags(ROWS, []) == ROWS


def test_a_tag_that_no_row_has_is_an_error_with_the_nearest_one():
    with pytest.raises(NothingSelectedError, match="evne") as caught:
        with_tags(ROWS, ["evne"])
    assert caught.value.hint == "did you mean 'even'?"
    with pytest.raises(NothingSelectedError):
        with_tags(ROWS, ["even", "odd"])


def test_ids_select_rows_in_dataset_order():
    assert [row.id for row in with_ids(ROWS, ["r7", "r2"])] == ["r2", "r7"]


def test_an_unknown_id_is_an_error():
    with pytest.raises(UsageError, match="r77"):
        with_ids(ROWS, ["r2", "r77"])
    with pytest.raises(NothingSelectedError):
        with_ids(ROWS, [])
