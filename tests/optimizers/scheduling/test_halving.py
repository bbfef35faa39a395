from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.optimizers.scheduling.halving import (
    halving_rungs,
    most_halving_calls,
    rung_count,
)
from dse_cli.optimizers.scheduling.settings import HalvingSettings
from tests.optimizers.scheduling.races import (
    HALVING,
    full,
    halve,
    means,
    number,
    race,
    settings_problems,
    skilled,
    trials,
)
from tests.optimizers.searches import run

calm = settings(deadline=None, max_examples=80, derandomize=True)
SKILLS = (0.1, 0.2, 0.9, 0.3, 0.55, 0.15, 0.8, 0.4)


def test_the_rungs_are_those_of_the_paper() -> None:
    """n = 16, B = 640: four rungs of 160 pulls each, until there are no more rows."""
    found = list(halving_rungs(16, 100, HalvingSettings()))
    assert found == [(16, 10, 8), (8, 30, 4), (4, 70, 2), (2, 100, 1)]
    thirds = list(halving_rungs(27, 200, HalvingSettings(eta=3, budget_share=0.2)))
    assert thirds == [(27, 13, 9), (9, 53, 3), (3, 173, 1)]


def test_the_budget_is_the_share_as_it_is_written() -> None:
    """n = 2, B = 0.57 x 2 x 100 = 114: one rung of 57 rows each, where floats make it 56."""
    assert list(halving_rungs(2, 100, HalvingSettings(budget_share=0.57))) == [(2, 57, 1)]


@calm
@given(st.integers(2, 200), st.integers(1, 300), st.integers(2, 5), st.floats(0.05, 1.0))
def test_the_budget_is_kept_and_one_is_left(candidates, rows, eta, share) -> None:
    settings = HalvingSettings(eta=eta, budget_share=share)
    rungs = list(halving_rungs(candidates, rows, settings))
    assert (
        len(rungs) == rung_count(candidates, eta) == math.ceil(round(math.log(candidates, eta), 9))
    )
    assert rungs[-1].stay == 1
    assert [rung.candidates for rung in rungs[1:]] == [rung.stay for rung in rungs[:-1]]
    spent = most_halving_calls(candidates, rows, settings) - (rows - rungs[-1].rows)
    least = sum(rung.candidates for rung in rungs)
    assert spent <= max(share * candidates * rows, least) + least


def test_a_single_candidate_is_evaluated_in_full() -> None:
    assert list(halving_rungs(1, 40, HalvingSettings())) == []
    assert most_halving_calls(1, 40, HalvingSettings()) == 40
    found = halve(skilled(0.9), 1)
    assert found.best.origin == "knobs:instruction.text=v00"
    assert len(found.runner.tasks) == 80


def test_the_best_of_clearly_different_candidates_is_found() -> None:
    found = halve(skilled(*SKILLS), 8)
    whole = full(skilled(*SKILLS), 8)
    assert found.best.candidate.id == whole.best.candidate.id
    assert len(found.runner.tasks) < 0.55 * len(whole.runner.tasks)
    assert [trial.kind for trial in found.search.log.trials].count("base") == 1


def test_half_are_dropped_after_each_rung_and_that_is_written_down() -> None:
    found = halve(skilled(*SKILLS), 8)
    by_rows: dict[int, list[str]] = {}
    for _, kind, rows, note in trials(found):
        if kind == "rung":
            by_rows.setdefault(rows, []).append(note)
    assert [len(found) for found in by_rows.values()] == [8, 4, 2]
    assert [
        sum(note.startswith("dropped: rank") for note in found) for found in by_rows.values()
    ] == [4, 2, 1]
    measured = [origin for origin, mean in means(found).items() if mean is not None]
    assert measured[0] == "base"
    assert "knobs:instruction.text=v02" in measured


def test_calls_are_as_planned() -> None:
    found = halve(skilled(*SKILLS), 8)
    assert len(found.runner.tasks) == 40 + most_halving_calls(8, 40, HalvingSettings())
    # One of the combinations is the base: the plan does not know that it will be no arm.
    assert found.plan.metric_calls == 40 + most_halving_calls(9, 40, HalvingSettings())


@pytest.mark.parametrize("config", [{"eta": 4}, {"budget_share": 0.8}, {"max_candidates": 4}])
def test_every_setting_has_an_effect(config) -> None:
    plain, other = halve(skilled(*SKILLS), 8), halve(skilled(*SKILLS), 8, config=config)
    assert len(plain.runner.tasks) != len(other.runner.tasks)
    assert len(other.runner.tasks) <= other.plan.metric_calls


def test_knobs_and_instructions_are_its_arms_and_the_base_is_none() -> None:
    space = {"knobs": {"model.temperature": [0.0, 0.4, 0.8]}}
    found = run(
        HALVING, space, lambda policy, row: float(policy.sampling().temperature == 0.4), rows=20
    )
    assert found.best.origin == "knobs:model.temperature=0.4"
    arms = {origin for origin, kind, _, _ in trials(found) if kind == "rung"}
    assert "base" not in arms


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_completion_decides_nothing(seed: int) -> None:
    plain = halve(skilled(*SKILLS), 8)
    mixed = halve(skilled(*SKILLS), 8, shuffle=random.Random(seed))
    assert mixed.search.log.trials == plain.search.log.trials


@pytest.mark.parametrize("cap", range(40, 200, 12))
def test_a_budget_stop_leaves_the_best_that_was_measured_in_full(cap: int) -> None:
    found = halve(skilled(*SKILLS), 8, max_metric_calls=cap)
    assert len(found.runner.tasks) <= cap
    known = [mean for mean in means(found).values() if mean is not None]
    assert found.search.archive.mean(found.best) == max(known)
    if found.stopped is None:
        assert number(found.best.candidate.main) == 2


def test_any_grid_can_be_halved() -> None:
    found = race(skilled(*SKILLS), 8, scheduler="successive_halving")
    assert found.best.origin == "instruction:v02"
    assert len(found.runner.tasks) == found.plan.metric_calls


def test_a_val_without_rungs_is_refused() -> None:
    assert settings_problems(HALVING, {}, 5)
    assert not settings_problems(HALVING, {}, 6)
    assert OPTIMIZERS[HALVING].parse({}).model_dump(mode="json", exclude_none=True) == {
        "eta": 2, "budget_share": 0.4, "max_candidates": 128,
    }  # fmt: skip
