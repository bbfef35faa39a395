"""Two policies on the rows of each tag: the slice that regressed is what a reader looks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dse_cli.evaluation.statistics.intervals import DECIMALS


class SlicePair(NamedTuple):
    """The rows with one tag that both policies answered.

    Attributes:
        tag: of the rows.
        n: how many they are.
        mean, other: mean reward of the policy and of the one it is compared with, in [0, 1].
        delta: mean - other.
    """

    tag: str
    n: int
    mean: float
    other: float
    delta: float


def paired_slices(
    rewards: Mapping[str, float | None],
    others: Mapping[str, float | None],
    tags: Mapping[str, Sequence[str]],
) -> tuple[SlicePair, ...]:
    """Return both means for each tag, in order of tags; a row without an answer is in none.

    Args:
        rewards: reward per row id; None for an outage.
        others: likewise, of the policy that it is compared with.
        tags: of each row.
    """
    by_tag: dict[str, list[tuple[float, float]]] = {}
    for row, ours in rewards.items():
        theirs = others.get(row)
        if ours is None or theirs is None:
            continue
        for tag in tags.get(row, ()):
            by_tag.setdefault(tag, []).append((ours, theirs))
    return tuple(_pair(tag, found) for tag, found in sorted(by_tag.items()))


def _pair(tag: str, found: Sequence[tuple[float, float]]) -> SlicePair:
    n = len(found)
    mean = math.fsum(ours for ours, _ in found) / n
    other = math.fsum(theirs for _, theirs in found) / n
    delta = round(mean - other, DECIMALS)
    return SlicePair(tag, n, round(mean, DECIMALS), round(other, DECIMALS), delta)
