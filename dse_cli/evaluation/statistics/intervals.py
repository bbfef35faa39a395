"""Intervals of mean rewards and of mean differences, 95 % and two-sided; and groups of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Final

from dse_cli.evaluation.statistics.resampling import bootstrap_interval, to_units

#: Recorded floats have 12 decimals, so that an artifact is stable and readable.
DECIMALS: Final = 12
BOOTSTRAP_DRAWS: Final = 10_000
_BOTH_SIDES: Final = 0.975


def reduce_by_group(
    values: Mapping[str, float], groups: Mapping[str, str | None] | None
) -> dict[str, float]:
    """Return the mean per group, in order of group; a row without a group stands for itself.

    Args:
        values: by row id.
        groups: group by row id; None when the dataset has none.
    """
    members: dict[tuple[str, str], list[float]] = {}
    for row in sorted(values):
        group = groups.get(row) if groups else None
        # Two kinds of key, so that a group named like a row does not swallow it.
        key = ("row", row) if group is None else ("group", group)
        members.setdefault(key, []).append(values[row])
    return {
        f"{kind}:{name}": math.fsum(found) / len(found)
        for (kind, name), found in sorted(members.items())
    }


def paired_bootstrap_interval(
    differences: Sequence[float],
    seed: int,
    draws: int = BOOTSTRAP_DRAWS,
    groups: Sequence[str | None] | None = None,
) -> tuple[float, float]:
    """Return the percentile 95 % interval of the mean difference.

    Args:
        differences: candidate minus baseline, one per row.
        seed: of this interval.
        draws: resamples.
        groups: group of each row; rows of a group are first reduced to their mean.

    Raises:
        ValueError: there are no differences.
    """
    if groups is not None:
        rows = {f"{i:09d}": value for i, value in enumerate(differences)}
        names = {f"{i:09d}": group for i, group in enumerate(groups)}
        differences = list(reduce_by_group(rows, names).values())
    units = [to_units(value) for value in differences]
    low, high = bootstrap_interval(units, [1] * len(units), seed, draws)
    return round(low, DECIMALS), round(high, DECIMALS)


def wilson_interval(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's two-sided 95 % interval of a proportion; 0 to 1 when nothing was seen.

    Raises:
        ValueError: not 0 <= successes <= n.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n} cannot be")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(_BOTH_SIDES)
    share, spread = successes / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At 0 and n the bound is exact; rounding must not put it inside.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return round(low, DECIMALS), round(high, DECIMALS)


def mean_interval(
    values: Sequence[float], seed: int, groups: Sequence[str | None] | None = None
) -> tuple[float, float]:
    """Return a 95 % interval of a mean reward: Wilson for rewards of 0 and 1, else bootstrap.

    Args:
        values: rewards in [0, 1], one per row.
        seed: of this interval.
        groups: group of each row. Rows of a group are resampled together, and the mean stays the
            mean over rows (Miller 2024, arXiv:2411.00640, section 2.2).

    A single graded reward says nothing about its spread: the interval is then 0 to 1.
    """
    clusters: dict[object, list[int]] = {}
    for index, value in enumerate(values):
        group = groups[index] if groups is not None else None
        clusters.setdefault(index if group is None else group, []).append(to_units(value))
    if len(clusters) == len(values) and is_binary(values):
        return wilson_interval(round(math.fsum(values)), len(values))
    if len(clusters) <= 1:
        return 0.0, 1.0
    members = list(clusters.values())
    sums, sizes = [sum(found) for found in members], [len(found) for found in members]
    low, high = bootstrap_interval(sums, sizes, seed, BOOTSTRAP_DRAWS)
    return round(low, DECIMALS), round(high, DECIMALS)


def is_binary(values: Sequence[float]) -> bool:
    """Tell whether all rewards are 0 or 1."""
    return all(value in (0.0, 1.0) for value in values)
