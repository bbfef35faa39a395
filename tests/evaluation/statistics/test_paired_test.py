from __future__ import annotations

import math
import random
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dse_cli.evaluation.statistics.paired_test import (
    look_level,
    mcnemar_mid_p,
    mean_interval,
    minimum_detectable_effect,
    paired_bootstrap_interval,
    paired_test,
    reduce_by_group,
    sign_flip_p,
    wilson_interval,
)
from dse_cli.evaluation.statistics.resampling import quantile

COUNTS = st.integers(0, 200)
REWARDS = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0]), min_size=1, max_size=30)
DIFFERENCES = st.lists(st.floats(-1, 1), max_size=12)

# Darwin's maize, cross- minus self-fertilised, in eighths of an inch, as in Fisher (1935),
# The Design of Experiments, section 21: 863 of 2^15 sign patterns reach the observed total.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]


def test_mcnemar_mid_p_agrees_with_the_published_example():
    # Fagerland, Lydersen and Laake (2013), airway hyper-responsiveness: 7 and 1 discordant pairs,
    # two-sided mid-p 0.0391.
    assert 2 * mcnemar_mid_p(7, 1) == pytest.approx(0.0391, abs=5e-5)


@given(COUNTS, COUNTS)
def test_mcnemar_mid_p_is_the_binomial_tail(wins, losses):
    n = wins + losses
    expected = stats.binom.sf(wins, n, 0.5) + stats.binom.pmf(wins, n, 0.5) / 2
    assert mcnemar_mid_p(wins, losses) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_mid_p_is_scipys_exact_test_less_half_the_observed_outcome(wins, losses):
    if wins + losses == 0:
        assert mcnemar_mid_p(0, 0) == 0.5
        return
    exact = stats.binomtest(wins, wins + losses, 0.5, alternative="greater").pvalue
    expected = exact - stats.binom.pmf(wins, wins + losses, 0.5) / 2
    assert mcnemar_mid_p(wins, losses) == pytest.approx(expected, rel=1e-7, abs=1e-12)


@given(COUNTS, COUNTS)
def test_mcnemar_mid_p_of_the_two_directions_adds_up_to_1(wins, losses):
    assert mcnemar_mid_p(wins, losses) + mcnemar_mid_p(losses, wins) == pytest.approx(1, abs=1e-12)


@given(st.integers(0, 40), st.integers(0, 40))
def test_one_more_win_is_always_more_convincing(wins, losses):
    assert mcnemar_mid_p(wins + 1, losses) < mcnemar_mid_p(wins, losses)


def test_mcnemar_mid_p_of_thousands_of_pairs_is_exact_and_of_negative_ones_an_error():
    assert mcnemar_mid_p(3000, 3000) == 0.5
    assert mcnemar_mid_p(4000, 0) == 0.0
    with pytest.raises(ValueError, match="negative"):
        mcnemar_mid_p(-1, 2)


def test_the_exact_sign_flip_test_agrees_with_fishers_count():
    p, method = sign_flip_p([value / 100 for value in DARWIN], seed=0)
    assert (p, method) == (863 / 2**15, "sign_flip_exact")


@pytest.mark.parametrize("n", [3, 7, 11])
def test_the_exact_sign_flip_test_is_scipys_permutation_test(n):
    rng = random.Random(n)
    differences = [rng.choice([-0.5, -0.25, 0.125, 0.25, 0.75]) for _ in range(n)]
    theirs = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=np.inf,
        alternative="greater", vectorized=False,
    )  # fmt: skip
    p, method = sign_flip_p(differences, 0)
    assert p == pytest.approx(theirs.pvalue)
    assert method == "sign_flip_exact"


def test_sampled_sign_flips_agree_with_scipys_sampled_permutation_test():
    rng = random.Random(8)
    differences = [rng.choice([-0.5, -0.25, 0.25, 0.5, 0.5]) for _ in range(30)]
    theirs = stats.permutation_test(
        (differences,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples",
        n_resamples=20_000, alternative="greater", vectorized=True,
        rng=np.random.default_rng(1),
    )  # fmt: skip
    p, method = sign_flip_p(differences, 5)
    assert method == "sign_flip_sampled"
    # Both estimate one p from 20,000 draws.
    error = math.sqrt(2 * p * (1 - p) / 20_000)
    assert p == pytest.approx(theirs.pvalue, abs=4 * error)


def test_a_sampled_p_counts_the_observed_outcome_as_phipson_and_smyth_do():
    # (b + 1) / (m + 1), Phipson and Smyth (2010), equation 2: never 0, and 1 for the worst.
    assert sign_flip_p([0.5] * 60, 0)[0] == 1 / 20_001
    assert sign_flip_p([-0.5] * 60, 0)[0] == 1.0


@settings(deadline=None)
@given(DIFFERENCES.filter(lambda found: len(found) <= 8))
def test_the_exact_sign_flip_test_counts_patterns(differences):
    units = [round(value * 10**12) for value in differences]
    patterns = list(product([1, -1], repeat=len(units)))
    sums = [sum(s * u for s, u in zip(signs, units, strict=True)) for signs in patterns]
    expected = sum(total >= sum(units) for total in sums) / len(sums)
    assert sign_flip_p(differences, seed=1)[0] == pytest.approx(expected)


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1), max_size=25), st.randoms(use_true_random=False))
def test_sign_flip_p_does_not_depend_on_zeros(differences, rng):
    with_zeros = [*differences, 0.0, 0.0]
    assert sign_flip_p(with_zeros, 3) == sign_flip_p(differences, 3)


@given(DIFFERENCES, st.randoms(use_true_random=False))
def test_the_exact_sign_flip_p_does_not_depend_on_order(differences, rng):
    shuffled = list(differences)
    rng.shuffle(shuffled)
    assert sign_flip_p(shuffled, 3) == sign_flip_p(differences, 3)


@given(DIFFERENCES)
def test_both_directions_of_a_sign_flip_test_cover_everything(differences):
    p, _ = sign_flip_p(differences, 0)
    q, _ = sign_flip_p([-value for value in differences], 0)
    assert 0 < p <= 1
    assert p + q >= 1 - 1e-12


def test_sums_that_are_equal_on_paper_are_ties():
    # In binary fractions 0.1 + 0.2 - 0.3 is not 0.
    assert sign_flip_p([0.1, 0.2, -0.3], 0)[0] == 5 / 8


def test_sampled_sign_flips_are_seeded_and_close_to_the_exact_share():
    rng = random.Random(5)
    differences = [rng.choice([-0.5, 0.25, 0.5, 0.5]) for _ in range(40)]
    p, method = sign_flip_p(differences, 11)
    assert method == "sign_flip_sampled"
    assert p == sign_flip_p(differences, 11)[0]
    assert p != sign_flip_p(differences, 12)[0]
    assert p == (1 + round(p * 20_001 - 1)) / 20_001
    assert p == pytest.approx(_exact_tail([round(4 * value) for value in differences]), abs=0.005)


def _exact_tail(units: list[int]) -> float:
    """P(sum of randomly signed units >= observed), by convolution."""
    ways = {0: 1}
    for unit in units:
        following: dict[int, int] = {}
        for total, count in ways.items():
            for sign in (unit, -unit):
                following[total + sign] = following.get(total + sign, 0) + count
        ways = following
    observed = sum(units)
    return sum(count for total, count in ways.items() if total >= observed) / float(2 ** len(units))


def test_sampled_sign_flips_never_claim_certainty():
    assert sign_flip_p([1.0] * 200, 0) == (1 / 20_001, "sign_flip_sampled")


def test_nothing_that_differs_is_no_evidence():
    assert sign_flip_p([], 0) == (1.0, "sign_flip_exact")
    assert sign_flip_p([0.0] * 50, 0) == (1.0, "sign_flip_exact")


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [  # Newcombe (1998), Statistics in Medicine 17, table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_intervals_agree_with_newcombes_table(successes, n, low, high):
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_wilson_intervals_are_those_of_scipy_and_hold_the_share(n, data):
    successes = data.draw(st.integers(0, n))
    low, high = wilson_interval(successes, n)
    theirs = stats.binomtest(successes, n).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = wilson_interval(n - successes, n)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-11)


def test_a_share_of_nothing_can_be_anything():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 successes of 2"):
        wilson_interval(3, 2)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_bootstrap_intervals_lie_within_the_data_and_mirror_it(differences):
    low, high = paired_bootstrap_interval(differences, 1, draws=500)
    assert min(differences) - 1e-11 <= low <= high <= max(differences) + 1e-11
    flipped = paired_bootstrap_interval([-value for value in differences], 1, draws=500)
    assert flipped == pytest.approx((-high, -low), abs=1e-9)


def test_a_bootstrap_interval_is_seeded_and_near_the_normal_one():
    rng = random.Random(2)
    differences = [rng.choice([-1.0, 0.0, 0.0, 1.0, 1.0]) for _ in range(400)]
    low, high = paired_bootstrap_interval(differences, 9)
    assert (low, high) == paired_bootstrap_interval(differences, 9)
    assert (low, high) != paired_bootstrap_interval(differences, 10)
    mean = sum(differences) / 400
    error = math.sqrt(sum((value - mean) ** 2 for value in differences) / 400 / 400)
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.006)


def test_a_bootstrap_interval_is_scipys_percentile_interval_up_to_the_draws():
    rng = random.Random(6)
    differences = [rng.choice([-0.75, 0.0, 0.25, 0.5]) for _ in range(120)]
    theirs = stats.bootstrap(
        (differences,), np.mean, method="percentile", n_resamples=9_999, confidence_level=0.95,
        rng=np.random.default_rng(2),
    ).confidence_interval  # fmt: skip
    ours = paired_bootstrap_interval(differences, 4)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_rows_of_a_group_are_reduced_before_they_are_resampled():
    grouped = paired_bootstrap_interval([1, 0, 1, 0], 1, groups=["a", "a", "b", "b"])
    assert grouped == (0.5, 0.5)
    assert paired_bootstrap_interval([1, 0, 1, 0], 1, groups=[None] * 4)[0] < 0.5


def test_nothing_cannot_be_resampled():
    with pytest.raises(ValueError, match="nothing"):
        paired_bootstrap_interval([], 0)


def test_mean_intervals_are_wilson_for_right_and_wrong_and_bootstrap_else():
    assert mean_interval([1.0, 0.0, 1.0, 1.0], 5) == wilson_interval(3, 4)
    graded = mean_interval([0.5, 0.25, 1.0, 0.75], 5)
    assert graded == mean_interval([0.5, 0.25, 1.0, 0.75], 5)
    assert 0.25 <= graded[0] < 0.625 < graded[1] <= 1
    assert mean_interval([0.4], 5) == (0.0, 1.0)


def test_clusters_make_the_interval_of_a_mean_wider():
    values = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0] * 10
    groups = [f"g{i // 3}" for i in range(60)]
    low, high = mean_interval(values, 1, groups)
    alone = mean_interval(values, 1)
    assert high - low > 1.4 * (alone[1] - alone[0])
    assert mean_interval(values, 1, ["all"] * 60) == (0.0, 1.0)


def test_groups_are_reduced_to_their_mean_and_rows_without_stand_alone():
    values = {"r1": 1.0, "r2": 0.0, "r3": 0.5, "g": 0.25}
    groups = {"r1": "g", "r2": "g", "r3": None}
    assert reduce_by_group(values, groups) == {"group:g": 0.5, "row:g": 0.25, "row:r3": 0.5}
    assert list(reduce_by_group(values, None).values()) == [0.25, 1.0, 0.0, 0.5]


@settings(deadline=None)
@given(st.integers(2, 3000), st.floats(0, 1), st.sampled_from([0.05, 0.025, 0.00833]))
def test_the_minimum_detectable_effect_solves_connors_sample_size(n, discordance, level):
    effect = minimum_detectable_effect(n, discordance, level)
    if effect is None:
        assert n < (stats.norm.isf(level)) ** 2 + 1
        return
    spread = max(discordance, effect)
    needed = (
        stats.norm.isf(level) * math.sqrt(spread)
        + stats.norm.isf(0.2) * math.sqrt(max(0.0, spread - effect**2))
    ) ** 2 / effect**2
    assert needed == pytest.approx(n, rel=1e-3)


def test_more_rows_show_smaller_effects_and_fewer_rows_none():
    effects = [minimum_detectable_effect(n, 0.2, 0.025) for n in (50, 100, 200, 400)]
    assert effects == sorted(effects, key=lambda e: -(e or 0))
    assert effects[1] == pytest.approx(0.124, abs=0.002)
    assert minimum_detectable_effect(3, 0.2, 0.025) is None
    assert minimum_detectable_effect(0, 0.2, 0.025) is None


def test_an_effect_of_that_size_is_found_4_times_in_5():
    n, discordance, level = 200, 0.2, 0.025
    effect = minimum_detectable_effect(n, discordance, level)
    assert effect is not None
    power = _power(n, (discordance + effect) / 2, (discordance - effect) / 2, level)
    assert power == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("n", [30, 60, 100, 200])
@pytest.mark.parametrize("discordance", [0.05, 0.15, 0.4])
@pytest.mark.parametrize("level", [0.025, 0.00833])
def test_false_promotions_stay_within_the_level(n, discordance, level):
    # Mid-p keeps its level on average; for a given n it may pass it by a few hundredths of it.
    assert _power(n, discordance / 2, discordance / 2, level) <= level * 1.07


@cache
def _fewest_wins(m: int, level: float) -> int | None:
    return next((w for w in range(m + 1) if mcnemar_mid_p(w, m - w) <= level), None)


def _power(n: int, win: float, loss: float, level: float) -> float:
    """Chance that mid-p is within the level, summed over all outcomes."""
    total = 0.0
    for m in range(n + 1):
        needed = _fewest_wins(m, level)
        if needed is not None:
            found = stats.binom.sf(needed - 1, m, win / (win + loss))
            total += stats.binom.pmf(m, n, win + loss) * found
    return float(total)


def test_looks_share_alpha():
    assert look_level(0.05, 1) == 0.025
    assert look_level(0.05, 2) == pytest.approx(0.05 / 6)
    assert sum(look_level(0.05, k) for k in range(1, 10_000)) == pytest.approx(0.05, rel=1e-3)
    with pytest.raises(ValueError, match="from 1"):
        look_level(0.05, 0)


def test_binary_pairs_get_mcnemar_with_its_counts():
    candidate = {f"r{i:03d}": float(i < 77) for i in range(100)}
    baseline = {f"r{i:03d}": float(i < 69 or i in (98, 99)) for i in range(100)}
    found = paired_test(candidate, baseline, seed=7, level=0.025)
    assert found.test == "mcnemar_mid_p"
    assert (found.n, found.wins, found.losses, found.ties) == (100, 8, 2, 90)
    assert (found.candidate_mean, found.baseline_mean, found.delta) == (0.77, 0.71, 0.06)
    assert found.p == pytest.approx(mcnemar_mid_p(8, 2), abs=1e-12)
    assert found.low < 0.06 < found.high
    assert found.minimum_detectable == minimum_detectable_effect(100, 0.1, 0.025)


def test_graded_pairs_get_sign_flips():
    candidate = {"a": 0.5, "b": 1.0, "c": 0.2}
    baseline = {"a": 0.25, "b": 0.5, "c": 0.2}
    found = paired_test(candidate, baseline, seed=7, level=0.025)
    assert (found.test, found.p) == ("sign_flip_exact", 0.25)
    assert (found.wins, found.losses, found.ties) == (2, 0, 1)


def test_only_rows_with_two_rewards_are_pairs():
    candidate = {"a": 1.0, "b": None, "c": 1.0, "d": 0.0}
    baseline = {"a": 0.0, "b": 1.0, "c": None, "e": 0.0}
    assert paired_test(candidate, baseline, seed=0, level=0.05).n == 1


def test_no_pairs_is_no_test():
    found = paired_test({"a": None}, {"a": 1.0}, seed=0, level=0.05)
    assert (found.test, found.n, found.p, found.low, found.high) == ("none", 0, 1.0, -1.0, 1.0)
    assert found.minimum_detectable is None


def test_groups_count_as_one_pair_each():
    candidate = {f"r{i}": 1.0 for i in range(10)}
    baseline = {f"r{i}": 0.0 for i in range(10)}
    groups = {f"r{i}": f"g{i // 5}" for i in range(10)}
    found = paired_test(candidate, baseline, groups=groups, seed=0, level=0.05)
    assert (found.test, found.n, found.wins, found.p) == ("mcnemar_mid_p", 2, 2, 0.125)


@settings(deadline=None, max_examples=25)
@given(REWARDS, st.randoms(use_true_random=False))
def test_a_comparison_does_not_depend_on_the_order_of_rows(values, rng):
    candidate = {f"r{i}": value for i, value in enumerate(values)}
    baseline = {f"r{i}": value for i, value in enumerate(values[::-1])}
    rows = list(candidate)
    rng.shuffle(rows)
    shuffled = paired_test(
        {row: candidate[row] for row in rows},
        {row: baseline[row] for row in reversed(rows)},
        seed=4,
        level=0.025,
    )
    assert shuffled == paired_test(candidate, baseline, seed=4, level=0.025)


@settings(deadline=None, max_examples=25)
@given(REWARDS)
def test_a_policy_is_never_better_than_itself(values):
    rewards = {f"r{i}": value for i, value in enumerate(values)}
    found = paired_test(rewards, rewards, seed=4, level=0.025)
    assert found.p >= 0.5
    assert (found.delta, found.low, found.high, found.ties) == (0, 0, 0, len(values))


def test_simulated_graded_rewards_keep_the_level_and_find_real_effects():
    rng = random.Random(20)
    false_alarms = hits = 0
    for trial in range(300):
        noise = [rng.gauss(0, 0.2) for _ in range(12)]
        false_alarms += sign_flip_p(noise, trial)[0] <= 0.05
        hits += sign_flip_p([value + 0.2 for value in noise], trial)[0] <= 0.05
    assert false_alarms <= 0.05 * 300 + 3 * math.sqrt(300 * 0.05 * 0.95)
    assert hits >= 0.85 * 300


def test_quantiles_interpolate_between_order_statistics():
    assert quantile([1.0, 2.0, 3.0, 4.0], 0.5) == 2.5
    assert quantile([1.0, 2.0, 3.0, 4.0], 0) == 1.0
    assert quantile([1.0, 2.0, 3.0, 4.0], 1) == 4.0
    assert quantile([7.0], 0.05) == 7.0
