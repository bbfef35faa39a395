from __future__ import annotations

from typing import Any

from dse_cli.contracts.evaluation import Cell, CellError, SignalScore
from dse_cli.evaluation.views.confusion import Confusion, confusion_pairs
from dse_cli.evaluation.views.outcomes import outcomes_of
from dse_cli.evaluation.views.paired_rows import RowPair, paired_rows


def cell(example: str, reward: float | None, **changes: Any) -> Cell:
    values: dict[str, Any] = {"rollout": 0, **changes}
    return Cell(candidate="c", example=example, example_hash=example, reward=reward, **values)


def outage(example: str, kind: Any = "provider", **changes: Any) -> Cell:
    return cell(example, None, error=CellError(kind, "down"), **changes)


def test_every_cell_is_counted_once_and_an_outage_is_not_wrong() -> None:
    found = outcomes_of(
        [
            cell("a", 1.0),
            cell("b", 0.5),
            cell("c", 0.0, error=CellError("decode", "no JSON")),
            outage("d"),
            outage("e", "timeout"),
            outage("f", "metric"),
        ]
    )
    assert (found.perfect, found.imperfect, found.decode) == (1, 1, 1)
    assert found.outages == {"metric": 1, "provider": 1, "timeout": 1}
    assert (found.without_answer, found.cells) == (3, 6)
    assert found.consistent is None


def test_consistency_is_the_share_of_rows_whose_rollouts_agree() -> None:
    cells = [
        *(cell("same", 0.5, rollout=r) for r in range(2)),
        *(cell("other", float(r), rollout=r) for r in range(2)),
        cell("half", 1.0, rollout=0),
        outage("half", rollout=1),
    ]
    assert outcomes_of(cells).consistent == 0.5


def test_a_nearly_perfect_mean_of_weights_is_perfect() -> None:
    assert outcomes_of([cell("a", 1 - 1e-12)]).perfect == 1


def test_confused_pairs_are_counted_most_frequent_first() -> None:
    def confused(example: str, expected: Any, got: Any, score: float = 0.0) -> Cell:
        signal = SignalScore("classification:q", score, "", {"expected": expected, "got": got})
        return cell(example, score, signals=(signal,))

    cells = [
        confused("a", "x", "y"),
        confused("b", "z", None),
        confused("c", "z", None),
        confused("d", "x", "x", 1.0),
        cell("e", 0.0, signals=(SignalScore("f1", 0.0, "no pair"),)),
    ]
    assert confusion_pairs(cells) == (
        Confusion("classification:q", "z", "null", 2),
        Confusion("classification:q", "x", "y", 1),
    )


def test_rows_won_and_lost_are_the_ones_that_both_answered() -> None:
    ours = {"a": 1.0, "b": 0.2, "c": 0.5, "d": None, "e": 1.0, "g": 1.0}
    theirs = {"a": 0.0, "b": 0.7, "c": 0.5 + 1e-15, "d": 0.0, "e": None, "f": 0.0, "g": 0.0}
    won, lost = paired_rows(ours, theirs)
    assert won == (RowPair("a", 1.0, 0.0), RowPair("g", 1.0, 0.0))
    assert lost == (RowPair("b", 0.2, 0.7),)
