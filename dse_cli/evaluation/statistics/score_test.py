"""A score test of a mean difference against any null value, and its lower bound.

For "is the candidate at most ``margin`` worse?" a bootstrap is the wrong tool: with no losing row
in the sample it has no width, and would promise that there is none. A score test asks instead how
the data would spread if the null were true. For differences of -1, 0 and 1 it is the test of Tango
(1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), whose restricted
maximum likelihood estimate is the empirical likelihood of Owen (1988, doi:10.1093/biomet/75.2.237)
with a support that holds the worst difference, -1. Written like that it takes graded rewards too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist
from typing import Final

from dse_cli.evaluation.statistics.intervals import DECIMALS
from dse_cli.evaluation.statistics.resampling import UNITS, to_units

_STEPS: Final = 200
_BOUND_STEPS: Final = 48

#: Distinct differences with their counts, sorted: sums of them do not depend on the order of rows.
_Sample = list[tuple[float, int]]


def mean_above_p(differences: Sequence[float], null: float) -> float:
    """Return the one-sided p of "the true mean difference is not above ``null``".

    Args:
        differences: candidate minus baseline, each in [-1, 1].
        null: in (-1, 1).

    Raises:
        ValueError: no difference, or ``null`` is not within (-1, 1).
    """
    if not differences or not -1 < null < 1:
        raise ValueError("a score test needs differences, and a null between -1 and 1")
    return _upper_tail(_score(_sample(differences), null))


def mean_lower_bound(differences: Sequence[float], level: float) -> float:
    """Return the mean that is rejected at ``level`` from below: a 1 - level lower bound.

    Every null below the bound has ``mean_above_p <= level``, and none above it.

    Raises:
        ValueError: no difference.
    """
    if not differences:
        raise ValueError("nothing has no bound")
    sample = _sample(differences)
    wanted = -NormalDist().inv_cdf(level)
    low, high = -1.0, _mean(sample)
    for _ in range(_BOUND_STEPS):
        middle = (low + high) / 2
        if middle <= -1 or middle >= 1:
            break
        low, high = (middle, high) if _score(sample, middle) >= wanted else (low, middle)
    return round(low, DECIMALS)


def _sample(differences: Sequence[float]) -> _Sample:
    counts = Counter(to_units(value) for value in differences)
    return [(unit / UNITS, count) for unit, count in sorted(counts.items())]


def _mean(sample: _Sample) -> float:
    return math.fsum(value * count for value, count in sample) / _size(sample)


def _size(sample: _Sample) -> int:
    return sum(count for _, count in sample)


def _score(sample: _Sample, null: float) -> float:
    """Return (mean - null) in standard errors of the likeliest distribution with that null mean."""
    mean = _mean(sample)
    if mean < null:
        return -_score([(-value, count) for value, count in reversed(sample)], -null)
    variance = _restricted_variance(sample, null)
    return (mean - null) * math.sqrt(_size(sample) / variance) if variance > 0 else 0.0


def _restricted_variance(sample: _Sample, null: float) -> float:
    """Return the variance of the likeliest distribution on the sample and -1 with mean ``null``.

    Its weights are count / (n (1 + t (value - null))), with ``t`` such that the mean is right.
    ``t`` ends at 1 / (1 + null): what is missing to a total of 1 there is the weight of a -1 that
    the sample does not hold.
    """
    n = _size(sample)

    def pull(tilt: float) -> float:
        return math.fsum(
            count * (value - null) / (1 + tilt * (value - null)) for value, count in sample
        )

    low, high = 0.0, 1 / (1 + null)
    holds_worst = sample[0][0] <= -1
    tilt = high
    if holds_worst or pull(high) < 0:
        for _ in range(_STEPS):
            tilt = (low + high) / 2
            if tilt in (low, high):
                break
            low, high = (tilt, high) if pull(tilt) > 0 else (low, tilt)
    weights = [(value, count / (n * (1 + tilt * (value - null)))) for value, count in sample]
    unseen = max(0.0, 1 - math.fsum(weight for _, weight in weights))
    second = math.fsum(weight * value * value for value, weight in weights) + unseen
    return second - null * null


def _upper_tail(score: float) -> float:
    return 0.5 * math.erfc(score / math.sqrt(2))
