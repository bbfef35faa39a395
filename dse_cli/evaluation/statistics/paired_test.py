"""Paired tests and intervals of mean rewards (DESIGN 4.1): pure functions, no clock, no file.

Every number follows from the rewards and a seed, to the last bit, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final, Literal, NamedTuple

from dse_cli.contracts.history import PairedTest
from dse_cli.evaluation.seeds import substream_seed
from dse_cli.evaluation.statistics.intervals import (
    BOOTSTRAP_DRAWS,
    DECIMALS,
    is_binary,
    mean_interval,
    paired_bootstrap_interval,
    reduce_by_group,
    wilson_interval,
)
from dse_cli.evaluation.statistics.resampling import flip_signs, to_units
from dse_cli.evaluation.statistics.score_test import mean_above_p, mean_lower_bound

__all__ = [
    "Pairs",
    "holm_adjusted",
    "look_level",
    "mcnemar_mid_p",
    "mean_above_p",
    "mean_interval",
    "mean_lower_bound",
    "minimum_detectable_effect",
    "paired_bootstrap_interval",
    "paired_p",
    "paired_test",
    "pairs_of",
    "reduce_by_group",
    "sign_flip_p",
    "wilson_interval",
]

FlipMethod = Literal["sign_flip_exact", "sign_flip_sampled"]
TestName = Literal["mcnemar_mid_p", "sign_flip_exact", "sign_flip_sampled"]

_POWER: Final = 0.8


def mcnemar_mid_p(wins: int, losses: int) -> float:
    """Return the one-sided McNemar mid-p of "wins are not more likely than losses".

    P(X > wins) + P(X = wins) / 2 for X ~ Binomial(wins + losses, 1/2); 0.5 without any of them.
    Exact in integers (Fagerland, Lydersen and Laake 2013, doi:10.1186/1471-2288-13-91).

    Raises:
        ValueError: a count is negative.
    """
    if wins < 0 or losses < 0:
        raise ValueError("counts cannot be negative")
    n = wins + losses
    ways = math.comb(n, wins)
    twice = ways
    for count in range(wins + 1, n + 1):
        ways = ways * (n - count + 1) // count
        twice += 2 * ways
    return float(twice / 2 ** (n + 1))


def sign_flip_p(differences: Sequence[float], seed: int) -> tuple[float, FlipMethod]:
    """Return the one-sided sign-flip p of "the mean difference is not above 0", and the method.

    Exact over all patterns of up to 16 differences that are not 0; else 20,000 seeded draws, with
    (1 + b) / (1 + B).
    """
    result = flip_signs(differences, seed)
    return result.p, "sign_flip_exact" if result.exact else "sign_flip_sampled"


def minimum_detectable_effect(
    n: int, discordance: float, level: float, power: float = _POWER
) -> float | None:
    """Return the smallest true mean difference that n pairs find with this power; None if none.

    The normal approximation of McNemar's test, sqrt(n) d = z_level sqrt(D) + z_power sqrt(D - d^2)
    (Connor 1987, doi:10.2307/2531961), solved for d. An effect cannot be larger than the
    discordance it needs, so D is at least d.

    Args:
        n: pairs.
        discordance: D, the mean squared difference; for rewards of 0 and 1 the share of rows on
            which candidate and baseline differ.
        level: one-sided.
        power: chance of finding it.
    """
    if n <= 0:
        return None
    z_level, z_power = NormalDist().inv_cdf(1 - level), NormalDist().inv_cdf(power)

    def is_found(effect: float) -> bool:
        spread = max(discordance, effect)
        noise = z_level * math.sqrt(spread) + z_power * math.sqrt(max(0.0, spread - effect**2))
        return math.sqrt(n) * effect >= noise

    low, high = 0.0, 1.0
    if not is_found(high):
        return None
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if is_found(middle) else (middle, high)
    return round(high, DECIMALS)


def look_level(alpha: float, k: int) -> float:
    """Return the level of look ``k`` (from 1) at a holdout: alpha / (k (k + 1)), in sum alpha.

    Raises:
        ValueError: ``k`` is below 1.
    """
    if k < 1:
        raise ValueError(f"looks are counted from 1, not {k}")
    return alpha / (k * (k + 1))


def holm_adjusted(ps: Sequence[float]) -> list[float]:
    """Return Holm's step-down adjusted p-values, in the order given.

    Rejecting what is within alpha keeps the chance of any false rejection at alpha, however the
    tests depend on each other (Holm 1979, Scandinavian Journal of Statistics 6, 65-70).
    """
    adjusted = [0.0] * len(ps)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=lambda index: ps[index])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        adjusted[index] = largest
    return adjusted


class Pairs(NamedTuple):
    """Two values for each row, or for each group of rows: what a paired test compares."""

    left: list[float]
    right: list[float]

    @property
    def differences(self) -> list[float]:
        """Left minus right."""
        return [a - b for a, b in zip(self.left, self.right, strict=True)]

    @property
    def swapped(self) -> Pairs:
        """The same pairs seen from the other side."""
        return Pairs(self.right, self.left)


def pairs_of(
    left: Mapping[str, float | None],
    right: Mapping[str, float | None],
    groups: Mapping[str, str | None] | None = None,
) -> Pairs:
    """Return the pairs of the rows where both sides have a value, reduced to a mean per group.

    Args:
        left: value per row id, averaged over rollouts; None for an outage.
        right: likewise.
        groups: group per row id.
    """
    shared = [row for row in sorted(left) if row in right]
    ours = {row: value for row in shared if (value := left[row]) is not None}
    theirs = {row: value for row in shared if (value := right[row]) is not None}
    paired = ours.keys() & theirs.keys()
    return Pairs(
        list(reduce_by_group({row: ours[row] for row in paired}, groups).values()),
        list(reduce_by_group({row: theirs[row] for row in paired}, groups).values()),
    )


def paired_p(pairs: Pairs, seed: int) -> tuple[float, TestName]:
    """Return the one-sided p of "left is not above right", and the test that gave it.

    Values of 0 and 1 are tested by McNemar's mid-p, graded ones by sign flips. A group whose rows
    do not agree has a mean between 0 and 1, and is graded.
    """
    differences = pairs.differences
    if is_binary([*pairs.left, *pairs.right]):
        signs = [to_units(value) for value in differences]
        return mcnemar_mid_p(sum(s > 0 for s in signs), sum(s < 0 for s in signs)), "mcnemar_mid_p"
    return sign_flip_p(differences, substream_seed(seed, "paired_test"))


def paired_test(
    candidate: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    *,
    groups: Mapping[str, str | None] | None = None,
    seed: int,
    level: float,
    draws: int = BOOTSTRAP_DRAWS,
) -> PairedTest:
    """Compare two policies on the rows where both have a reward.

    Args:
        candidate: reward per row id, averaged over rollouts; None for an outage.
        baseline: likewise.
        groups: group per row id; with groups, a pair is a group: its two mean rewards.
        seed: of the draws.
        level: one-sided, for the minimum detectable effect.
        draws: resamples for the interval; p does not depend on it.
    """
    pairs = pairs_of(candidate, baseline, groups)
    return _NOTHING if not pairs.left else _compared(pairs, seed, level, draws)


_NOTHING: Final = PairedTest(
    test="none", n=0, candidate_mean=0.0, baseline_mean=0.0, delta=0.0, p=1.0, low=-1.0, high=1.0,
    wins=0, losses=0, ties=0, minimum_detectable=None,
)  # fmt: skip


def _compared(pairs: Pairs, seed: int, level: float, draws: int) -> PairedTest:
    n = len(pairs.left)
    differences = pairs.differences
    signs = [to_units(value) for value in differences]
    wins, losses = sum(s > 0 for s in signs), sum(s < 0 for s in signs)
    p, test = paired_p(pairs, seed)
    interval_seed = substream_seed(seed, "paired_interval")
    low, high = paired_bootstrap_interval(differences, interval_seed, draws)
    discordance = math.fsum(value * value for value in differences) / n
    return PairedTest(
        test=test,
        n=n,
        candidate_mean=round(math.fsum(pairs.left) / n, DECIMALS),
        baseline_mean=round(math.fsum(pairs.right) / n, DECIMALS),
        delta=round(math.fsum(differences) / n, DECIMALS),
        p=round(p, DECIMALS),
        low=low,
        high=high,
        wins=wins,
        losses=losses,
        ties=n - wins - losses,
        minimum_detectable=minimum_detectable_effect(n, discordance, level),
    )
