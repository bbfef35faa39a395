from __future__ import annotations

import pytest

from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.evaluation.matrix import ScoreMatrix
from tests.evaluation.cells import make_rows

ROWS = make_rows(3)


def cell(index: int, reward: float | None, *, rollout: int = 0, tokens: int | None = 5) -> Cell:
    row, usage = ROWS[index], CellUsage(1, 0, tokens, 1, 0)
    return Cell("c", row.id, row.hash, rollout, reward, usage=usage)


def test_a_cell_is_written_once() -> None:
    matrix = ScoreMatrix()
    matrix.put(cell(0, 1.0))
    with pytest.raises(KeyError):
        matrix.put(cell(0, 0.0))
    assert matrix.mean("c", ROWS[:1]) == 1.0


def test_cells_come_back_in_the_order_of_the_rows_that_are_asked_for() -> None:
    matrix = ScoreMatrix()
    for index in (2, 0, 1):
        matrix.put(cell(index, index / 2))
    assert [c.example for c in matrix.cells("c", ROWS)] == ["r000", "r001", "r002"]
    assert [c.example for c in matrix.cells("c", ROWS[::-1])] == ["r002", "r001", "r000"]
    assert matrix.cells("other", ROWS) == []


def test_an_outage_has_no_reward_and_is_not_in_the_mean() -> None:
    matrix = ScoreMatrix()
    matrix.put(cell(0, 1.0))
    matrix.put(cell(1, None))
    assert matrix.mean("c", ROWS[:2]) == 1.0
    assert matrix.mean("c", ROWS[1:2]) is None


def test_covered_is_every_row_and_every_rollout() -> None:
    matrix = ScoreMatrix()
    matrix.put(cell(0, 1.0))
    assert matrix.covers("c", ROWS[:1])
    assert not matrix.covers("c", ROWS)
    assert not matrix.covers("c", ROWS[:1], rollouts=2)
    assert not matrix.covers("d", ROWS[:1])
    matrix.put(cell(0, 0.0, rollout=1))
    assert matrix.covers("c", ROWS[:1], rollouts=2)
    assert matrix.mean("c", ROWS[:1], rollouts=2) == 0.5


def test_tokens_are_unknown_when_those_of_one_cell_are() -> None:
    matrix = ScoreMatrix()
    matrix.put(cell(0, 1.0))
    matrix.put(cell(1, 1.0, tokens=None))
    assert matrix.tokens("c", ROWS[:1]) == 6
    assert matrix.tokens("c", ROWS[:2]) is None
