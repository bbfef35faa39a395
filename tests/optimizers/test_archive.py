from __future__ import annotations

import itertools
from typing import Any

import pytest

from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.matrix import ScoreMatrix
from dse_cli.optimizers.archive import Archive
from tests.evaluation.cells import make_candidate, make_rows

ROWS = make_rows(2)
CANDIDATES = sorted((make_candidate(text) for text in "abc"), key=lambda candidate: candidate.id)


def archive_of(*scores: tuple[Candidate, float | None, int | None]) -> Archive:
    matrix = ScoreMatrix()
    archive = Archive(matrix, ROWS)
    for candidate, reward, tokens in scores:
        archive.add(candidate, candidate.main.instruction, None)
        for row in ROWS:
            usage = CellUsage(1, 0, tokens, 0, 0)
            matrix.put(Cell(candidate.id, row.id, row.hash, 0, reward, usage=usage))
    return archive


def best(*scores: tuple[Candidate, float | None, int | None]) -> Candidate:
    entry = archive_of(*scores).best()
    assert entry is not None
    return entry.candidate


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_best_does_not_depend_on_the_order_of_the_archive(order) -> None:
    one, two, three = CANDIDATES
    by_reward = [(one, 0.5, 1), (two, 0.9, 9), (three, 0.8, 1)]
    by_tokens = [(one, 0.5, 9), (two, 0.5, 9), (three, 0.5, 8)]
    by_id = [(one, 0.5, 9), (two, 0.5, 9), (three, 0.5, 9)]
    unknown_last = [(one, 0.5, None), (two, 0.5, 900), (three, 0.4, 1)]
    rounding = [(one, 0.1 + 0.2, 5), (two, 0.3, 4), (three, 0.0, 1)]
    expected: list[tuple[list[Any], Candidate]] = [
        (by_reward, two), (by_tokens, three), (by_id, one), (unknown_last, two), (rounding, two),
    ]  # fmt: skip
    for scores, winner in expected:
        assert best(*(scores[index] for index in order)) is winner


def test_a_candidate_that_was_not_fully_evaluated_cannot_win() -> None:
    archive = archive_of((CANDIDATES[0], 0.1, 1))
    late = archive.add(CANDIDATES[1], "late", None)
    row = ROWS[0]
    archive._matrix.put(Cell(CANDIDATES[1].id, row.id, row.hash, 0, 1.0))
    assert archive.mean(late) is None
    best = archive.best()
    assert best is not None
    assert best.candidate is CANDIDATES[0]


def test_nothing_wins_when_nothing_was_scored() -> None:
    assert archive_of().best() is None
    assert archive_of((CANDIDATES[0], None, 1)).best() is None


def test_the_same_policy_is_one_entry_and_keeps_its_first_origin() -> None:
    archive = archive_of((CANDIDATES[0], 0.5, 1))
    again = archive.add(make_candidate(CANDIDATES[0].main.instruction), "again", "parent")
    assert len(archive) == 1
    assert again.origin != "again"


def test_an_outage_on_a_hard_row_does_not_help() -> None:
    matrix = ScoreMatrix()
    archive = Archive(matrix, ROWS)
    steady, lucky = CANDIDATES[:2]
    # `lucky` has no answer on the hard row; on the easy one `steady` is the better.
    for candidate, rewards in ((steady, (1.0, 0.0)), (lucky, (0.9, None))):
        archive.add(candidate, "made", None)
        for row, reward in zip(ROWS, rewards, strict=True):
            matrix.put(Cell(candidate.id, row.id, row.hash, 0, reward))
    first, second = archive
    assert (archive.mean(first), archive.mean(second)) == (0.5, 0.9)
    assert archive.best() is first
    assert archive.is_better(first, second)
    assert not archive.is_better(second, first)


def test_a_row_without_an_answer_is_not_among_those_that_a_mean_is_over() -> None:
    archive = archive_of((CANDIDATES[0], 0.5, 1))
    (first,) = archive
    late = archive.add(CANDIDATES[1], "late", None)
    archive._matrix.put(Cell(CANDIDATES[1].id, ROWS[0].id, ROWS[0].hash, 0, 1.0))
    assert (archive.scored(first), archive.scored(late)) == (2, 0)
    archive._matrix.put(Cell(CANDIDATES[1].id, ROWS[1].id, ROWS[1].hash, 0, None))
    assert (archive.mean(late), archive.scored(late)) == (1.0, 1)
