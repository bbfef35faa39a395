from __future__ import annotations

import pytest

from bench.racing_simulation import (
    CALLS,
    PROBLEMS,
    SAME,
    base_policy,
    full_winner,
    measure,
    rewards_of,
    spread,
    start,
    variant,
    winner_and_calls,
)
from dse_cli.evaluation.seeds import numpy_substream

PROBLEM = next(problem for problem in PROBLEMS if problem[:3] == ("spread 15 points", 32, 100))
HARD = next(problem for problem in PROBLEMS if problem.what.startswith("near ties"))


def test_a_race_finds_the_winner_of_the_grid_for_40_percent_of_its_calls() -> None:
    found = measure(PROBLEM, "racing", 40)
    assert found.same >= SAME
    assert found.calls <= CALLS
    assert found.reached


def test_near_ties_cost_calls_and_not_the_winner() -> None:
    found = measure(HARD, "racing", 10)
    assert found.same >= 0.9
    assert found.calls > CALLS
    assert found.regret < 0.3


@pytest.mark.parametrize("graded", [False, True])
def test_the_winner_of_the_full_grid_is_the_one_of_the_archive(graded: bool) -> None:
    problem = PROBLEM._replace(variants=6, rows=30, qualities=spread(0.05), graded=graded)
    policies = [variant(number) for number in range(7)]
    for run in range(5):
        rewards = rewards_of(problem, numpy_substream(run, "test"))
        found, calls = winner_and_calls(policies, rewards, run, "full")
        assert found == full_winner(policies, rewards)
        assert calls == 7 * 30


def test_problems_are_what_they_say() -> None:
    draws = numpy_substream(1, "test")
    rewards = rewards_of(PROBLEM._replace(rows=4000), draws)
    assert rewards.shape == (33, 4000)
    assert set(rewards.flat) == {0.0, 1.0}
    assert 0.10 < rewards.mean(axis=1).std() < 0.20
    assert 0.55 < rewards.mean() < 0.75
    assert start([base_policy()], rewards[:1], 0).base.id == variant(0).id
