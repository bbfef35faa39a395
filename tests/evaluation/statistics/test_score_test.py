from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dse_cli.evaluation.statistics.paired_test import mean_above_p, mean_lower_bound

NULLS = st.sampled_from([-0.3, -0.1, -0.05, -0.02, 0.03, 0.2])
GRADED = st.lists(st.integers(-100, 100).map(lambda n: n / 100), min_size=2, max_size=40)


def outcomes(wins: int, losses: int, n: int) -> list[float]:
    return [1.0] * wins + [-1.0] * losses + [0.0] * (n - wins - losses)


def tango_z(wins: int, losses: int, n: int, null: float) -> float:
    """Tango (1998), with the closed form of the restricted maximum likelihood estimate."""
    b = -(wins + losses) + (2 * n - wins + losses) * null
    c = -losses * null * (1 - null)
    q = (math.sqrt(b * b - 8 * n * c) - b) / (4 * n)
    return (wins - losses - n * null) / math.sqrt(n * (2 * q + null * (1 - null)))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60), NULLS)
def test_for_right_and_wrong_it_is_tangos_score_test(wins, losses, ties, null):
    n = wins + losses + ties
    expected = stats.norm.sf(tango_z(wins, losses, n, null))
    assert mean_above_p(outcomes(wins, losses, n), null) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("wins", "losses", "n", "level", "low", "high", "digits"),
    [
        # Fagerland, Lydersen and Laake (2014), airway hyper-responsiveness: Tango 0.026 to 0.517.
        (7, 1, 21, 0.025, 0.026, 0.517, 3),
        # R, PropCIs 0.3-0: scoreci.mp(25, 28, 618, conf.level = 0.90).
        (28, 25, 618, 0.05, -0.0148, 0.0247, 4),
    ],
)
def test_bounds_agree_with_published_score_intervals(wins, losses, n, level, low, high, digits):
    differences = outcomes(wins, losses, n)
    assert round(mean_lower_bound(differences, level), digits) == low
    assert round(-mean_lower_bound([-d for d in differences], level), digits) == high


def test_without_a_differing_row_the_bound_is_that_of_wilson_not_zero():
    z = stats.norm.isf(0.025)
    assert mean_lower_bound([0.0] * 100, 0.025) == pytest.approx(-(z**2) / (100 + z**2), abs=1e-9)
    assert mean_lower_bound([0.0] * 188, 0.025) < -0.02 < mean_lower_bound([0.0] * 189, 0.025)


@settings(deadline=None, max_examples=40)
@given(GRADED, st.sampled_from([0.05, 0.025, 0.0042]))
def test_the_bound_is_where_the_test_turns(differences, level):
    bound = mean_lower_bound(differences, level)
    assert -1 <= bound <= math.fsum(differences) / len(differences) + 1e-9
    if bound > -0.999:
        assert mean_above_p(differences, max(bound - 1e-6, -0.9999)) <= level + 1e-6
        if bound + 1e-6 < math.fsum(differences) / len(differences):
            assert mean_above_p(differences, bound + 1e-6) >= level - 1e-6


@settings(deadline=None, max_examples=40)
@given(GRADED, NULLS, st.randoms(use_true_random=False))
def test_it_mirrors_and_does_not_depend_on_the_order_of_rows(differences, null, rng):
    p = mean_above_p(differences, null)
    shuffled = list(differences)
    rng.shuffle(shuffled)
    assert mean_above_p(shuffled, null) == p
    if abs(math.fsum(differences) / len(differences) - null) > 1e-9:
        assert mean_above_p([-d for d in differences], -null) == pytest.approx(1 - p, abs=1e-9)


def test_many_graded_differences_are_bounded_as_by_the_normal_distribution():
    rng = random.Random(3)
    differences = [rng.uniform(-0.4, 0.5) for _ in range(400)]
    mean, error = sum(differences) / 400, stats.tstd(differences) / 20
    assert mean_lower_bound(differences, 0.025) == pytest.approx(mean - 1.96 * error, abs=0.001)


def test_nothing_and_impossible_nulls_are_errors():
    with pytest.raises(ValueError, match="needs differences"):
        mean_above_p([], 0.0)
    with pytest.raises(ValueError, match="between -1 and 1"):
        mean_above_p([0.0], 1.0)
    with pytest.raises(ValueError, match="no bound"):
        mean_lower_bound([], 0.05)


def test_extreme_samples_have_bounds():
    assert mean_lower_bound([-1.0] * 10, 0.025) == -1
    assert 0 < mean_lower_bound([1.0] * 10, 0.025) < 1
    assert mean_above_p([1.0] * 10, -0.02) < 0.001
    assert mean_above_p([-1.0] * 10, -0.02) > 0.999
