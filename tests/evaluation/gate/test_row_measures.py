from __future__ import annotations

from typing import Any

from dse_cli.contracts.evaluation import Cell, CellError, CellUsage
from dse_cli.evaluation.gate.row_measures import owed_rewards, row_measures


def cell(example: str, rollout: int = 0, **changes: Any) -> Cell:
    values: dict[str, Any] = {
        "candidate": "c",
        "example": example,
        "example_hash": example,
        "rollout": rollout,
        "reward": 1.0,
        "usage": CellUsage(1, 0, 80, 20, 500),
        **changes,
    }
    return Cell(**values)


def broken(kind: Any) -> dict[str, Any]:
    reward = 0.0 if kind == "decode" else None
    return {"error": CellError(kind, "no"), "reward": reward}


def test_rollouts_are_averaged_per_row():
    found = row_measures(
        [
            cell("a", 0),
            cell("a", 1, **broken("decode"), usage=CellUsage(2, 1, 180, 20, 1500)),
            cell("b", 0, reward=0.5),
        ]
    )
    assert found.rewards == {"a": 0.5, "b": 0.5}
    assert found.decode_failures == {"a": 0.5, "b": 0.0}
    assert found.tokens == {"a": 150.0, "b": 100.0}
    assert found.cost == {"a": 1000.0, "b": 500.0}


def test_an_outage_is_no_answer_and_no_decode_failure():
    found = row_measures(
        [cell("a", 0, **broken("provider")), cell("a", 1), cell("b", **broken("timeout"))]
    )
    assert found.rewards == {"a": 1.0, "b": None}
    assert found.decode_failures == {"a": 0.0, "b": None}
    assert found.tokens["b"] is None
    assert (found.unknown("tokens"), found.unknown("cost")) == (0, 0)


def test_one_unknown_count_makes_the_row_unknown_and_is_counted():
    unknown = CellUsage(1, 0, None, 20, None)
    found = row_measures([cell("a", 0), cell("a", 1, usage=unknown), cell("b")])
    assert found.tokens == {"a": None, "b": 100.0}
    assert found.of("cost")["a"] is None
    assert (found.unknown("tokens"), found.unknown("cost")) == (1, 1)


def test_the_order_of_cells_does_not_matter():
    cells = [cell("b", 1, reward=0.1), cell("a"), cell("b", 0, reward=0.3)]
    assert row_measures(cells) == row_measures(cells[::-1])


def test_what_judges_use_is_not_held_against_the_policy():
    judged = cell("a", judging=CellUsage(5, 0, 10_000, 100, 10**9))
    assert row_measures([judged]).tokens == {"a": 100.0}


def test_an_answer_that_is_owed_counts_as_wrong_where_the_other_policy_has_one():
    cells = [
        cell("a", 0),
        cell("a", 1, **broken("timeout")),
        cell("b", 0, **broken("metric")),
        cell("c", 0, **broken("provider")),
    ]
    found = owed_rewards(cells, {"a": 1.0, "b": 0.0, "c": None})
    assert found == {"a": 0.5, "b": 0.0, "c": None}


def test_who_owes_nothing_is_not_judged_twice():
    assert owed_rewards([cell("a"), cell("b", **broken("decode"))], {"a": 1.0, "b": 1.0}) is None
    assert owed_rewards([cell("a", **broken("timeout"))], {"a": None}) is None
