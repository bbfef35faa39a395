from __future__ import annotations

import itertools
import random

import pytest
from pydantic import ValidationError

from dse_cli.contracts.dataset import Row
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import make_cell, outage
from tests.optimizers.scheduling.races import (
    full,
    means,
    number,
    race,
    settings_problems,
    skilled,
    trials,
)
from tests.optimizers.searches import GRID, JOINT, KNOBS, instructions, run

SKILLS = (0.1, 0.2, 0.9, 0.3, 0.55, 0.15, 0.8, 0.4)


def test_the_race_finds_the_winner_of_the_grid_and_saves_calls() -> None:
    raced, whole = race(skilled(*SKILLS), 8), full(skilled(*SKILLS), 8)
    assert raced.best.candidate.id == whole.best.candidate.id
    assert raced.best.origin == "instruction:v02"
    assert len(raced.runner.tasks) < 0.6 * len(whole.runner.tasks)


def test_base_and_winner_are_evaluated_in_full_and_who_is_dropped_has_no_mean() -> None:
    found = race(skilled(*SKILLS), 8)
    known = {origin for origin, mean in means(found).items() if mean is not None}
    assert {"base", "instruction:v02"} <= known
    assert "instruction:v00" not in known
    assert len(found.entries) == 9


def test_every_decision_is_written_down() -> None:
    found = race(skilled(*SKILLS), 8)
    written = trials(found)
    dropped = {origin for origin, kind, _, note in written if note.startswith("dropped: ")}
    finished = [(origin, rows) for origin, kind, rows, _ in written if kind == "full"]
    assert "instruction:v00" in dropped
    assert finished[0] == ("instruction:v02", 40)
    assert dropped | {origin for origin, _ in finished} == set(means(found)) - {"base"}
    assert dropped.isdisjoint(origin for origin, _ in finished)
    last = [note for origin, _, _, note in written if origin == "instruction:v00"][-1]
    assert last.startswith(("dropped: p = ", "dropped: out of reach of "))
    seen = [rows for origin, kind, rows, _ in written if origin == "instruction:v02"]
    assert seen == sorted(seen)


def test_rungs_are_nested_and_the_same_rows_for_all() -> None:
    found = race(skilled(*SKILLS), 8)
    rows: dict[str, set[str]] = {}
    for task in found.runner.tasks:
        rows.setdefault(task.candidate.id, set()).add(task.row.id)
    sets = sorted(rows.values(), key=len)
    assert all(small <= large for small, large in itertools.pairwise(sets))


def test_the_base_wins_when_nothing_beats_it_and_nobody_else_is_finished() -> None:
    found = race(skilled(*[0.1] * 6, base=0.9), 6)
    assert found.best.origin == "base"
    assert [mean for mean in means(found).values() if mean is not None] == [
        found.search.archive.mean(found.best)
    ]


def test_near_ties_need_almost_the_whole_grid() -> None:
    near = skilled(0.68, 0.7, 0.72, 0.7, base=0.7)
    found, whole = race(near, 4, scheduler={"id": "racing", "alpha": 0.01}), full(near, 4)
    assert found.best.candidate.id == whole.best.candidate.id
    assert len(found.runner.tasks) > 0.7 * len(whole.runner.tasks)


def test_equal_candidates_are_never_dropped_and_ties_go_to_fewer_tokens() -> None:
    def world(policy: Policy, row: Row) -> tuple[float, int]:
        return 0.5, 10 + 10 * (number(policy) != 3)

    found = race(world, 5)
    assert all(mean == 0.5 for mean in means(found).values())
    assert found.best.origin == "instruction:v03"


def test_who_can_only_tie_stays_and_who_cannot_reach_the_base_leaves_for_certain() -> None:
    """The base is known on every row: where it is right nobody can gain."""

    def world(policy: Policy, row: Row) -> float:
        return float(number(policy) != 0 or row.id in {"v000"})

    found = race(world, 2, rows=20, scheduler={"id": "racing", "alpha": 1e-9})
    notes = [note for origin, _, _, note in trials(found) if origin == "instruction:v00"]
    assert notes == ["dropped: out of reach of base"]
    assert means(found)["instruction:v01"] == 1.0


def test_a_smaller_alpha_drops_later() -> None:
    calls = [
        len(race(skilled(*SKILLS), 8, scheduler={"id": "racing", "alpha": alpha}).runner.tasks)
        for alpha in (0.5, 0.05, 1e-6)
    ]
    assert calls == sorted(calls)
    assert calls[0] < calls[-1]


def test_growth_and_first_decide_the_rungs() -> None:
    def sizes(**settings: float) -> list[int]:
        found = race(skilled(*SKILLS), 8, scheduler={"id": "racing", **settings})
        return sorted({rows for _, kind, rows, _ in trials(found) if kind == "rung"})

    assert sizes(first=0.5, growth=1.5) == [20, 30]
    assert sizes(first=0.25, growth=2)[0] == 10


@pytest.mark.parametrize("seed", range(6))
def test_the_order_of_completion_decides_nothing(seed: int) -> None:
    plain = race(skilled(*SKILLS), 8)
    mixed = race(skilled(*SKILLS), 8, shuffle=random.Random(seed))
    assert mixed.search.log.trials == plain.search.log.trials
    assert mixed.origins == plain.origins
    assert [task.path for task in mixed.runner.tasks] == [task.path for task in plain.runner.tasks]


def test_another_seed_is_another_race() -> None:
    first, second = (race(skilled(*SKILLS), 8, seed=seed) for seed in (0, 1))
    assert {task.row.id for task in first.runner.tasks[40:45]} != {
        task.row.id for task in second.runner.tasks[40:45]
    }
    assert first.best.candidate.id == second.best.candidate.id


@pytest.mark.parametrize("cap", range(40, 250, 10))
def test_a_budget_that_ends_in_the_race_leaves_someone_in_full_besides_the_base(cap: int) -> None:
    found = race(skilled(*SKILLS), 8, max_metric_calls=cap)
    assert len(found.runner.tasks) <= cap
    full_means = [mean for mean in means(found).values() if mean is not None]
    assert found.search.archive.mean(found.best) == max(full_means)
    if found.stopped is None:
        assert found.best.origin == "instruction:v02"
    elif cap >= 80:
        assert len(full_means) >= 2


def test_a_budget_under_a_first_rung_is_spent_candidate_by_candidate() -> None:
    found = race(skilled(*SKILLS), 8, max_metric_calls=100)
    assert found.stopped is not None
    assert [mean is not None for mean in means(found).values()] == [True, True, False]


def test_any_budget_finishes_the_best_before_it_ends() -> None:
    """A cell may take two calls and takes one, so that a rung that may not fit often would."""
    stopped = [race(skilled(*SKILLS), 8, max_lm_calls=cap) for cap in range(140, 190, 10)]
    stopped = [found for found in stopped if found.stopped is not None]
    assert len(stopped) >= 3
    for found in stopped:
        assert len([mean for mean in means(found).values() if mean is not None]) >= 2


def test_a_time_stop_leaves_what_is_measured_in_full() -> None:
    ticks = iter(range(10_000))
    found = race(skilled(*SKILLS), 8, max_time_s=9.0, clock=lambda: float(next(ticks)))
    assert found.stopped is not None
    assert found.stopped.budget == "max_time_s"
    assert found.best.origin == "base"


def test_an_outage_is_no_loss() -> None:
    world = skilled(*SKILLS)

    def sample(task):
        if task.row.id in {"v003", "v007"} and number(task.candidate.main) == 2:
            return outage(task)
        return make_cell(task, reward=world(task.candidate.main, task.row))

    found = race(world, 8, sample=sample, max_error_rate=1.0)
    assert found.best.origin == "instruction:v02"


def test_full_is_the_grid_and_is_written_down() -> None:
    named_full = race(skilled(*SKILLS), 8, scheduler="full")
    plain = full(skilled(*SKILLS), 8)
    assert [task.path for task in named_full.runner.tasks] == [
        task.path for task in plain.runner.tasks
    ]
    assert plain.search.log.trials == []
    assert {kind for _, kind, _, _ in trials(named_full)} == {"full"}


def test_knobs_and_demos_race_too() -> None:
    space = {"knobs": {"model.temperature": [0.0, 0.3, 0.6, 0.9], "decode.max_repairs": [0, 1, 2]}}

    def warm(policy: Policy, row: Row) -> float:
        return float(policy.sampling().temperature == 0.6)

    raced = run(KNOBS, space, warm, rows=40, config={"scheduler": "racing"})
    assert raced.best.candidate.main.sampling().temperature == 0.6
    assert len(raced.runner.tasks) < 0.6 * 13 * 40

    def helped(policy: Policy, row: Row) -> float:
        shown = [demo.id for demo in policy.demos]
        return 0.2 + 0.3 * (policy.instruction == "Better.") + 0.4 * ("r002" in shown)

    both = {**instructions(b="Better.", a="Worse."), "few_shot": {"k_max": 2}}
    joint = run(JOINT, both, helped, rows=40, config={"scheduler": "racing"})
    assert joint.shown == ["r002"]
    assert joint.best.candidate.main.instruction == "Better."


@pytest.mark.parametrize(
    "scheduler",
    ["race", {"id": "race"}, {"id": "full"}, {"id": "racing", "alpha": 0},
     {"id": "racing", "growth": 1}, {"id": "racing", "eta": 2}, {"alpha": 0.1},
     {"id": "successive_halving", "eta": 1}, {"id": "successive_halving", "alpha": 0.1}, {}],
)  # fmt: skip
def test_what_no_scheduler_knows_is_refused(scheduler) -> None:
    with pytest.raises(ValidationError):
        OPTIMIZERS[GRID].parse({"scheduler": scheduler})


def test_a_scheduler_without_an_effect_is_refused() -> None:
    for optimizer in (GRID, JOINT, KNOBS, "fewshot_greedy_forward.v2"):
        assert settings_problems(optimizer, {"scheduler": "racing"}, 5)
        assert not settings_problems(optimizer, {"scheduler": "racing"}, 6)
        assert not settings_problems(optimizer, {}, 5)
    late = {"scheduler": {"id": "racing", "first": 0.99}}
    assert settings_problems(GRID, late, 20) == [
        "the first rung is all 20 rows of val, so that nothing is ever dropped"
    ]


def test_a_setting_that_is_absent_is_not_written_into_the_artifact() -> None:
    for optimizer in (GRID, JOINT):
        assert OPTIMIZERS[optimizer].parse({}).model_dump(mode="json", exclude_none=True) == {}
    asked = OPTIMIZERS[GRID].parse({"scheduler": {"id": "racing", "alpha": 0.1}})
    assert asked.model_dump(mode="json", exclude_none=True) == {
        "scheduler": {"id": "racing", "alpha": 0.1, "first": 0.1, "growth": 1.25}
    }
