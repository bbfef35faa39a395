"""A smaller run of ``bench/gate_simulation.py``, whose full table is in docs/statistics.md."""

from __future__ import annotations

import math

import pytest

from bench.gate_simulation import (
    MARGIN,
    Result,
    best_of,
    clustered,
    correlated_outcomes,
    discordant,
    equal_binary,
    equal_graded,
    guard_alarms,
    non_inferior,
    promotions,
    rare_graded_loss,
    repeated_looks,
    shared_outcomes,
    table,
)

RUNS = 200


def at_most(level: float, runs: int) -> float:
    """Return how many hits of so many runs are still plausible: three standard errors above."""
    return level * runs + 3 * math.sqrt(level * (1 - level) * runs)


@pytest.mark.parametrize("n", [100, 200])
def test_equal_policies_are_promoted_within_the_level(n):
    assert promotions(equal_binary, n, RUNS, "test") <= at_most(0.025, RUNS)


def test_equal_graded_policies_are_promoted_within_the_level():
    assert promotions(equal_graded, 100, 40, "test") <= at_most(0.025, 40)


def test_the_best_of_20_on_val_is_promoted_no_more_often():
    assert best_of(equal_binary, 100) <= at_most(0.025, 100)


def test_five_looks_together_stay_within_alpha():
    assert repeated_looks(60) <= at_most(0.05, 60)


def test_a_true_gain_of_10_points_is_found():
    assert promotions(shared_outcomes(0.6, 0.1, 0.7), 200, RUNS, "test") >= 0.95 * RUNS
    assert promotions(correlated_outcomes(0.6, 0.1, 0.7), 200, RUNS, "test") >= 0.93 * RUNS


def test_groups_keep_the_level_where_rows_alone_do_not():
    assert clustered(100, grouped=True) <= at_most(0.025, 100)
    assert clustered(100, grouped=False) >= 15


def test_guards_trip_without_a_cause_within_alpha():
    assert guard_alarms(25) <= at_most(0.05, 25)


@pytest.mark.parametrize("policies", [discordant(0.0, MARGIN), rare_graded_loss(MARGIN)])
def test_a_policy_that_is_worse_by_the_margin_does_not_pass_the_second_mode(policies):
    assert non_inferior(policies, 100, 50, "test") <= at_most(0.025, 50)


def test_a_policy_that_is_equal_passes_the_second_mode_with_enough_rows():
    assert non_inferior(discordant(0.02, 0.02), 400, 12, "test") >= 10


def test_the_table_says_what_was_not_reached():
    lines = list(table(iter([Result("a", 8, 100, most=0.055), Result("b", 96, 100, least=0.95)])))
    assert lines[2] == "| a | 100 | 8.0 % | at most 5.5 % | **not reached** |"
    assert lines[3] == "| b | 100 | 96.0 % | at least 95 % | reached |"
