from __future__ import annotations

from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import make_rows
from tests.optimizers.searches import GREEDY, run
from tests.runtime.policies import make_policy

AUTHORED = {"id": "authored", "input": {"ticket": "x"}, "output": {"queue": "other"}}
WITH_DEMO = make_policy(prompt=[{"instruction": "Go."}, {"few_shot": [AUTHORED]}])


def ids(policy: Policy) -> list[str]:
    return [demo.id for demo in policy.demos]


def space(k_max: int = 3, **more: Any) -> dict[str, Any]:
    return {"few_shot": {"k_max": k_max, **more}}


def needs(*wanted: str):
    """A world in which each wanted demo helps, the first most."""
    return lambda policy, row: sum(
        0.4 / (rank + 1) for rank, name in enumerate(wanted) if name in ids(policy)
    )


def test_the_search_starts_from_the_base_and_from_no_demos_at_all() -> None:
    found = run(GREEDY, space(), lambda policy, row: 0.5, base=WITH_DEMO)
    base, zero = found.entries[:2]
    assert found.origins[:2] == ["base", "demos:none"]
    assert ids(base.candidate.main) == ["authored"]
    assert ids(zero.candidate.main) == []
    assert zero.candidate.main.params.to_json()["few_shot"] == {"examples": []}


def test_authored_demos_are_not_grown_from_but_may_win() -> None:
    found = run(
        GREEDY, space(), lambda policy, row: float("authored" in ids(policy)), base=WITH_DEMO
    )
    assert found.best.origin == "base"
    assert all("authored" not in ids(entry.candidate.main) for entry in found.entries[1:])


def test_demos_are_shown_in_the_order_in_which_they_were_chosen() -> None:
    found = run(GREEDY, space(), needs("r003", "r000", "r002"))
    assert found.shown == ["r003", "r000", "r002"]
    assert found.best.origin == "demos:+r002"


def test_the_search_stops_when_nothing_is_better() -> None:
    found = run(GREEDY, space(), needs("r001"))
    assert found.shown == ["r001"]
    # base (which shows no demos), four first demos, three second demos, and no third round
    assert len(found.entries) == 1 + 4 + 3


def test_a_demo_that_is_only_as_good_is_not_added() -> None:
    found = run(GREEDY, space(), lambda policy, row: (0.5, 10 + len(ids(policy))))
    assert found.shown == []
    assert len(found.entries) == 1 + 4


@pytest.mark.parametrize("k_max", [1, 2, 3, 9])
def test_no_more_demos_are_shown_than_allowed_or_there_are(k_max: int) -> None:
    found = run(GREEDY, space(k_max), lambda policy, row: len(ids(policy)) / 9)
    assert len(found.shown) == min(k_max, 4)
    assert len(set(found.shown)) == len(found.shown)


def test_demos_are_embedded_in_full_and_say_where_they_come_from() -> None:
    found = run(GREEDY, space(1), needs("r002"))
    assert found.best.candidate.main.params.to_json()["few_shot"]["examples"] == [
        {"id": "r002", "input": {"ticket": "t2"}, "output": {"queue": "other"}, "source": "train"}
    ]


def test_only_train_rows_become_demos() -> None:
    found = run(GREEDY, space(), lambda policy, row: len(ids(policy)) / 9, rows=6)
    shown = {demo.id for entry in found.entries for demo in entry.candidate.main.demos}
    assert shown == {row.id for row in make_rows(4, "train")}


def tagged(name: str, *tags: str, expected: dict[str, Any] | None = None) -> Row:
    return Row(name, {"ticket": name}, expected or {"queue": "other"}, "train", tags)


def pool(train: list[Row], **more: Any) -> set[str]:
    found = run(GREEDY, space(1, **more), lambda policy, row: 0.0, train=train)
    return {origin.removeprefix("demos:+") for origin in found.origins if "+" in origin}


def test_the_pool_can_be_narrowed_by_tags() -> None:
    train = [tagged("a", "x"), tagged("b", "x", "y"), tagged("c", "y")]
    assert pool(train, tags=["x"]) == {"a", "b"}
    assert pool(train, tags=["x", "y"]) == {"b"}


def test_a_row_with_several_right_answers_is_no_demo() -> None:
    train = [tagged("one"), tagged("list", expected={"queue": ["billing", "other"]})]
    assert pool(train) == {"one"}


def test_the_pool_is_drawn_with_the_seed_and_not_by_the_order_of_rows() -> None:
    train = [tagged(f"t{index:02d}") for index in range(20)]
    first = pool(train, pool_size=5)
    assert len(first) == 5
    assert pool(train, pool_size=5) == first
    found = run(GREEDY, space(1, pool_size=5), lambda policy, row: 0.0, train=train, seed=8)
    assert {origin.removeprefix("demos:+") for origin in found.origins if "+" in origin} != first
    assert pool(train, pool_size=50) == {row.id for row in train}


@pytest.mark.parametrize("passes", [1, 2, 4, 6, 8])
def test_a_budget_stop_in_the_middle_of_a_round_keeps_the_best_so_far(passes: int) -> None:
    found = run(GREEDY, space(), needs("r001", "r003"), max_metric_calls=3 * passes + 2)
    assert found.stopped is not None
    assert found.stopped.batch == passes
    means = [found.search.archive.mean(entry) for entry in found.entries]
    scored = [mean for mean in means if mean is not None]
    assert len(scored) == passes
    assert found.search.archive.mean(found.best) == max(scored)
