"""Buckets: what several programs and samples came to on one row, and which rows tell most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from dse_cli.evaluation.statistics.resampling import quantile

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.optimizers.archive import Entry


@dataclass(frozen=True, slots=True)
class Trajectory:
    """One program on one row, one sample.

    Attributes:
        entry: the program.
        cell: what it answered, and what that was worth; never an outage.
        reward: of the cell.
    """

    entry: Entry
    cell: Cell
    reward: float


@dataclass(frozen=True)
class Bucket:
    """The trajectories on one row, in the order in which they were drawn; at least one."""

    row: Row
    trajectories: Sequence[Trajectory]

    @cached_property
    def ranked(self) -> list[Trajectory]:
        """Best first; of equals, the first drawn."""
        return sorted(self.trajectories, key=lambda trajectory: -trajectory.reward)

    @property
    def good(self) -> Trajectory:
        return self.ranked[0]

    @property
    def bad(self) -> Trajectory:
        return self.ranked[-1]

    @property
    def interest(self) -> tuple[float, float, float]:
        """Gap from best to worst, the best, and gap from best to mean: as published."""
        rewards = [trajectory.reward for trajectory in self.trajectories]
        mean = math.fsum(rewards) / len(rewards)
        return max(rewards) - min(rewards), max(rewards), max(rewards) - mean


class Thresholds(NamedTuple):
    """The 10th and the 90th percentile of all rewards of a minibatch."""

    low: float
    high: float


def by_interest(buckets: Sequence[Bucket]) -> list[Bucket]:
    """Return the buckets, those with the widest gap first; equals stay in order."""
    return sorted(buckets, key=lambda bucket: bucket.interest, reverse=True)


def thresholds(buckets: Sequence[Bucket]) -> Thresholds:
    """Return what counts as low and as high; at least one bucket is needed."""
    rewards = sorted(t.reward for bucket in buckets for t in bucket.trajectories)
    return Thresholds(quantile(rewards, 0.1), quantile(rewards, 0.9))
