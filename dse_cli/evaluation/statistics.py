"""Paired tests and intervals of mean rewards (DESIGN 4.1): pure functions, no clock, no file.

Every number follows from the rewards and a seed, to the last bit, on any machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final, Literal

from dse_cli.contracts.history import PairedTest
from dse_cli.evaluation.intervals import (
    DECIMALS,
    is_binary,
    mean_interval,
    paired_bootstrap_interval,
    reduce_by_group,
    wilson_interval,
)
from dse_cli.evaluation.resampling import flip_signs, to_units
from dse_cli.evaluation.seeds import substream_seed

__all__ = [
    "look_level",
    "mcnemar_mid_p",
    "mean_interval",
    "minimum_detectable_effect",
    "paired_bootstrap_interval",
    "paired_test",
    "reduce_by_group",
    "sign_flip_p",
    "wilson_interval",
]

FlipMethod = Literal["sign_flip_exact", "sign_flip_sampled"]

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


def paired_test(
    candidate: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    *,
    groups: Mapping[str, str | None] | None = None,
    seed: int,
    level: float,
) -> PairedTest:
    """Compare two policies on the rows where both have a reward.

    Rewards of 0 and 1 are tested by McNemar's mid-p, graded ones by sign flips. With groups, a
    pair is a group: its two mean rewards.

    Args:
        candidate: reward per row id, averaged over rollouts; None for an outage.
        baseline: likewise.
        groups: group per row id.
        seed: of the draws.
        level: one-sided, for the minimum detectable effect.
    """
    shared = [row for row in sorted(candidate) if row in baseline]
    ours = {row: value for row in shared if (value := candidate[row]) is not None}
    theirs = {row: value for row in shared if (value := baseline[row]) is not None}
    paired = ours.keys() & theirs.keys()
    left = list(reduce_by_group({row: ours[row] for row in paired}, groups).values())
    right = list(reduce_by_group({row: theirs[row] for row in paired}, groups).values())
    return _NOTHING if not left else _compared(left, right, seed, level)


_NOTHING: Final = PairedTest(
    test="none", n=0, candidate_mean=0.0, baseline_mean=0.0, delta=0.0, p=1.0, low=-1.0, high=1.0,
    wins=0, losses=0, ties=0, minimum_detectable=None,
)  # fmt: skip


def _compared(left: list[float], right: list[float], seed: int, level: float) -> PairedTest:
    n = len(left)
    differences = [a - b for a, b in zip(left, right, strict=True)]
    signs = [to_units(value) for value in differences]
    wins, losses = sum(s > 0 for s in signs), sum(s < 0 for s in signs)
    test: Literal["mcnemar_mid_p", "sign_flip_exact", "sign_flip_sampled"] = "mcnemar_mid_p"
    if is_binary([*left, *right]):
        p = mcnemar_mid_p(wins, losses)
    else:
        p, test = sign_flip_p(differences, substream_seed(seed, "paired_test"))
    low, high = paired_bootstrap_interval(differences, substream_seed(seed, "paired_interval"))
    discordance = math.fsum(value * value for value in differences) / n
    return PairedTest(
        test=test,
        n=n,
        candidate_mean=round(math.fsum(left) / n, DECIMALS),
        baseline_mean=round(math.fsum(right) / n, DECIMALS),
        delta=round(math.fsum(differences) / n, DECIMALS),
        p=round(p, DECIMALS),
        low=low,
        high=high,
        wins=wins,
        losses=losses,
        ties=n - wins - losses,
        minimum_detectable=minimum_detectable_effect(n, discordance, level),
    )
