"""Which rows two policies differ on: the ones won and the ones lost, by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dse_cli.evaluation.statistics.resampling import to_units


class RowPair(NamedTuple):
    """One row, measured twice.

    Attributes:
        id: of the row.
        reward, other: of the policy and of the one it is compared with, in [0, 1], averaged over
            rollouts.
    """

    id: str
    reward: float
    other: float


class PairedRows(NamedTuple):
    """The rows on which two policies differ, the largest difference first, then by id."""

    won: tuple[RowPair, ...]
    lost: tuple[RowPair, ...]


def paired_rows(
    rewards: Mapping[str, float | None], others: Mapping[str, float | None]
) -> PairedRows:
    """Return the rows won and lost; a row on which either has an outage is neither.

    Args:
        rewards: reward per row id; None for an outage.
        others: likewise, of the policy that it is compared with.
    """
    pairs = [
        RowPair(row, ours, theirs)
        for row, ours in rewards.items()
        if ours is not None and (theirs := others.get(row)) is not None
    ]
    # Units, as the tests count them: a difference in the last bit of a mean is none.
    gain = {pair.id: to_units(pair.reward - pair.other) for pair in pairs}
    pairs.sort(key=lambda pair: (-abs(gain[pair.id]), pair.id))
    return PairedRows(
        tuple(pair for pair in pairs if gain[pair.id] > 0),
        tuple(pair for pair in pairs if gain[pair.id] < 0),
    )
