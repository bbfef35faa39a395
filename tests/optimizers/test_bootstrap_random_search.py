from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import make_rows
from tests.optimizers.searches import Found, run
from tests.runtime.policies import make_policy

RANDOM = "bootstrap_random_search.v1"
TRAIN = make_rows(20, "train", prefix="t")
AUTHORED = {"id": "a1", "input": {"ticket": "x"}, "output": {"queue": "other"}}


def world(policy: Policy, row: Row) -> float:
    if row.split == "train":
        return float(int(row.id[1:]) % 3 != 0)
    helpful = sum(demo.source == "bootstrapped" for demo in policy.demos)
    return 0.2 + 0.1 * helpful


def answer(policy: Policy, row: Row) -> dict[str, Any]:
    return {"queue": "billing"}


def search(**options: Any) -> Found:
    settings = {"train": TRAIN, "answers": answer, **options}
    return run(RANDOM, settings.pop("space", {}), settings.pop("world", world), **settings)


def test_sixteen_shuffled_sets_come_after_no_demos_labels_and_one_bootstrap() -> None:
    found = search()
    recipes = [record.recipe for record in found.search.log.demo_sets]
    assert recipes == [
        "zero-shot", "labelled", "bootstrap", *(f"shuffled {n}" for n in range(1, 17)),
    ]  # fmt: skip
    assert found.plan.candidates == 19
    assert all(found.search.archive.mean(entry) is not None for entry in found.entries)
    assert [trial.kind for trial in found.search.log.trials] == ["base", *["full"] * 19]


def test_the_set_with_the_most_helpful_demos_wins() -> None:
    best = search().best.candidate.main
    assert sum(demo.source == "bootstrapped" for demo in best.demos) == 4


def test_each_set_is_evaluated_before_the_next_is_made() -> None:
    found = search(max_metric_calls=30)
    assert found.stopped is not None
    splits = [task.row.split for task in found.runner.tasks]
    changes = sum(a != b for a, b in itertools.pairwise(splits))
    assert changes > 4


def test_authored_demos_are_one_more_candidate() -> None:
    base = make_policy(prompt=[{"instruction": "Go."}, {"few_shot": [AUTHORED]}])
    found = search(base=base, config={"num_candidate_programs": 0})
    assert found.origins == ["base", "demos:zero-shot", "demos:labelled", "demos:bootstrap"]


def test_a_score_that_is_enough_ends_the_search() -> None:
    found = search(config={"stop_at_score": 0.6})
    assert 0 < len(found.search.log.demo_sets) < 19
    assert found.search.log.trials[-1].mean == pytest.approx(0.6)
    at_once = search(config={"stop_at_score": 0.2})
    assert at_once.origins == ["base"]


def test_more_rounds_give_a_row_another_chance() -> None:
    def stubborn(policy: Policy, row: Row) -> float:
        warm = policy.sampling().temperature == 1.0
        return float(warm) if row.split == "train" else world(policy, row)

    once = search(world=stubborn, config={"num_candidate_programs": 2})
    twice = search(world=stubborn, config={"num_candidate_programs": 2, "max_rounds": 2})
    assert sum(record.passed for record in once.search.log.demo_sets) == 0
    assert sum(record.passed for record in twice.search.log.demo_sets) >= 6


def test_a_run_is_the_same_whatever_the_order_of_completion() -> None:
    def trail(seed: int, shuffle: random.Random | None = None) -> list[Any]:
        log = search(seed=seed, shuffle=shuffle).search.log
        return [log.demo_sets, log.trials]

    assert trail(0) == trail(0, random.Random(5))
    assert trail(0) != trail(1)
