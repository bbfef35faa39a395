from __future__ import annotations

import random
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import make_rows, unit
from tests.optimizers.searches import GREEDY, Found, World, run
from tests.runtime.policies import make_policy

LAZY = "fewshot_greedy_forward.v2"
AUTHORED = {"id": "authored", "input": {"ticket": "x"}, "output": {"queue": "other"}}
WITH_DEMO = make_policy(prompt=[{"instruction": "Go."}, {"few_shot": [AUTHORED]}])


def ids(policy: Policy) -> list[str]:
    return [demo.id for demo in policy.demos]


def space(k_max: int = 3) -> dict[str, Any]:
    return {"few_shot": {"k_max": k_max}}


def covering(strength: float = 1.0) -> World:
    """A submodular world: each demo makes some rows right, and a row is right once.

    What a row is worth differs, so that there are no ties.
    """

    def world(policy: Policy, row: Row) -> float:
        is_right = any(unit(name, row.id) < 0.3 * strength for name in ids(policy))
        return unit("worth", row.id) * (is_right or unit("alone", row.id) < 0.1)

    return world


def grow(world: World, *, k_max: int = 3, optimizer: str = LAZY, **more: Any) -> Found:
    return run(optimizer, space(k_max), world, train=make_rows(12, "train"), rows=40, **more)


def test_of_a_submodular_reward_it_chooses_what_the_full_search_chooses_for_less() -> None:
    lazy, whole = grow(covering()), grow(covering(), optimizer=GREEDY)
    assert lazy.shown == whole.shown
    assert len(lazy.shown) == 3
    assert len(lazy.runner.tasks) < 0.8 * len(whole.runner.tasks)


def test_the_first_round_measures_the_whole_pool_and_a_later_one_only_what_may_win() -> None:
    gains = {"r000": 0.1, "r001": 0.3, "r002": 0.2}

    def world(policy: Policy, row: Row) -> float:
        return sum(gains.get(name, 0.0) for name in ids(policy))

    found = run(LAZY, space(2), world)
    assert found.shown == ["r001", "r002"]
    assert found.origins == ["base", *[f"demos:+r00{index}" for index in range(4)], "demos:+r002"]
    assert [trial.kind for trial in found.search.log.trials] == ["base", *["full"] * 5]


def test_a_gain_that_shrank_is_passed_by_the_next() -> None:
    def world(policy: Policy, row: Row) -> float:
        shown = set(ids(policy))
        # r001 and r002 are each good, and of no more use together; r003 adds to both.
        return 0.5 * bool(shown & {"r001", "r002"}) + 0.2 * ("r003" in shown)

    found = run(LAZY, space(2), world)
    assert set(found.shown) & {"r001", "r002"}
    assert "r003" in found.shown


def test_it_stops_when_nothing_is_better() -> None:
    found = run(LAZY, space(), lambda policy, row: 0.5)
    assert found.best.origin == "base"
    assert len(found.entries) == 5


def test_authored_demos_are_not_grown_from() -> None:
    found = run(LAZY, space(1), lambda policy, row: len(ids(policy)) / 9, base=WITH_DEMO)
    assert found.origins[:2] == ["base", "demos:none"]
    assert all("authored" not in ids(entry.candidate.main) for entry in found.entries[1:])


def test_demos_are_labelled_and_the_chosen_sets_are_written_down() -> None:
    found = run(LAZY, space(2), lambda policy, row: 0.1 * ("r002" in ids(policy)))
    shown = found.best.candidate.main.params.to_json()["few_shot"]["examples"]
    assert shown == [
        {"id": "r002", "input": {"ticket": "t2"}, "output": {"queue": "other"},
         "source": "labelled"}
    ]  # fmt: skip
    assert [record.to_json() for record in found.search.log.demo_sets] == [
        {"index": 0, "recipe": "greedy 1", "demos": [{"source": "labelled", "id": "r002"}]}
    ]


def test_with_a_race_it_finds_as_much_for_less() -> None:
    plain, raced = grow(covering()), grow(covering(), config={"scheduler": "racing"})
    assert raced.shown == plain.shown
    assert len(raced.runner.tasks) < len(plain.runner.tasks)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_completion_decides_nothing(seed: int) -> None:
    config = {"scheduler": "racing"}
    plain = grow(covering(), config=config)
    mixed = grow(covering(), config=config, shuffle=random.Random(seed))
    assert mixed.search.log.trials == plain.search.log.trials
    assert mixed.shown == plain.shown


@pytest.mark.parametrize("cap", [60, 200, 500, 640])
def test_a_budget_stop_keeps_the_best_so_far(cap: int) -> None:
    found = grow(covering(), max_metric_calls=cap)
    assert found.stopped is not None
    means = [found.search.archive.mean(entry) for entry in found.entries]
    assert found.search.archive.mean(found.best) == max(mean for mean in means if mean is not None)
