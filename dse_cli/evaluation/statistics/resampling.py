"""Exact and seeded resampling of means: sign flips and the bootstrap, the same on every machine.

Rewards are rounded to 1e-12 and counted in integers of that unit, so that sums do not depend on
order, processor or library, and equal sums are equal: 0.1 + 0.2 ties with 0.3. Draws come from the
raw PCG64 stream, which numpy promises to keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.evaluation.seeds import numpy_substream

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: One reward point in integer units. Sums of up to nine million rewards fit 64 bits.
UNITS: Final = 10**12
_EXACT_UP_TO: Final = 16
_FLIP_DRAWS: Final = 20_000
#: Numbers held at once while drawing; bounds memory at some 32 MB, never the result.
_CHUNK: Final = 4_000_000


class FlipResult(NamedTuple):
    """A one-sided p-value of "the mean difference is not above 0", and how it was computed."""

    p: float
    exact: bool


def to_units(value: float) -> int:
    """Return a reward or a difference of two as an integer number of 1e-12."""
    return round(value * UNITS)


def flip_signs(differences: Sequence[float], seed: int) -> FlipResult:
    """Return the share of sign patterns whose sum is at least the observed one.

    All patterns of up to 16 differences that are not 0, else 20,000 seeded draws with
    (1 + b) / (1 + B), which can never be 0 (Phipson and Smyth 2010).
    """
    units = [unit for value in differences if (unit := to_units(value)) != 0]
    if len(units) <= _EXACT_UP_TO:
        return FlipResult(_exact_share(units), True)
    at_least = _sampled_count(units, seed)
    return FlipResult((1 + at_least) / (1 + _FLIP_DRAWS), False)


def bootstrap_interval(
    sums: Sequence[int], sizes: Sequence[int], seed: int, draws: int
) -> tuple[float, float]:
    """Return the percentile 95 % interval of ``sum(sums) / sum(sizes)`` over resampled units.

    Args:
        sums: per cluster (or row), the sum of its values in integer units.
        sizes: per cluster, how many values that were; 1 for a row.
        seed: of this interval.
        draws: resamples.

    Raises:
        ValueError: there is nothing to resample.
    """
    import numpy as np

    if not sums:
        raise ValueError("cannot resample nothing")
    tops, bottoms = np.asarray(sums, np.int64), np.asarray(sizes, np.int64)
    raw = numpy_substream(seed, "bootstrap").bit_generator
    n, per_chunk = len(sums), max(1, _CHUNK // len(sums))
    means: list[NDArray[np.float64]] = []
    for start in range(0, draws, per_chunk):
        index = _indexes(raw, min(per_chunk, draws - start), n)
        means.append(tops[index].sum(axis=1) / bottoms[index].sum(axis=1))
    ordered = np.sort(np.concatenate(means)) / UNITS
    return quantile(ordered, 0.025), quantile(ordered, 0.975)


def quantile(ordered: Any, share: float) -> float:
    """Return a quantile of sorted numbers by linear interpolation (Hyndman and Fan, type 7)."""
    place = share * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = float(ordered[below]), float(ordered[above])
    return low + (place - below) * (high - low)


def _exact_share(units: Sequence[int]) -> float:
    sums = [0]
    for unit in units:
        sums = [total + unit for total in sums] + [total - unit for total in sums]
    observed = sum(units)
    return sum(total >= observed for total in sums) / len(sums)


def _sampled_count(units: Sequence[int], seed: int) -> int:
    """Count the draws whose sum is at least the observed one."""
    import numpy as np

    values, m = np.asarray(units, np.int64), len(units)
    raw = numpy_substream(seed, "sign_flip").bit_generator
    words, per_chunk = -(-m // 64), max(1, _CHUNK // m)
    found = 0
    for start in range(0, _FLIP_DRAWS, per_chunk):
        count = min(per_chunk, _FLIP_DRAWS - start)
        drawn = raw.random_raw(count * words).astype("<u8").view(np.uint8).reshape(count, -1)
        flips = np.unpackbits(drawn, axis=1, count=m, bitorder="little")
        # A flipped sum is at least the observed one when what was flipped adds up to 0 or less.
        found += int(np.count_nonzero(flips.astype(np.int64) @ values <= 0))
    return found


def _indexes(raw: Any, count: int, n: int) -> NDArray[np.int64]:
    """Return ``count`` x ``n`` row numbers drawn with replacement from the raw stream."""
    import numpy as np

    unit = (raw.random_raw(count * n) >> np.uint64(11)).astype(np.float64) * 2.0**-53
    index = np.minimum((unit * n).astype(np.int64), n - 1)
    drawn: NDArray[np.int64] = index.reshape(count, n)
    return drawn
