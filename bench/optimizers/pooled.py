"""The runs of one optimizer on one task, pooled over seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from bench.optimizers.results import Result
from dse_cli.evaluation.statistics.intervals import mean_interval
from dse_cli.evaluation.statistics.paired_test import paired_test

#: Of the bootstrap draws: the table is the same each time it is made.
_SEED: Final = 0
_LEVEL: Final = 0.05


class Estimate(NamedTuple):
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float

    @property
    def is_above(self) -> bool:
        """Whether the interval is above 0."""
        return self.low > 0

    @property
    def is_below(self) -> bool:
        """Whether the interval is below 0."""
        return self.high < 0


class Pooled(NamedTuple):
    """What the seeds of one optimizer on one task come to; means are over seeds.

    Attributes:
        test: reward on the test rows. The rows are the sample: a row counts once, with its mean
            over the seeds, because the seeds share their rows.
        gain: paired difference to the baseline, likewise.
        by_seed: mean reward on the test rows of each seed.
        val_baseline, val_winner: mean rewards on val.
        kept: seeds whose winner is the policy as written.
        metric_calls, lm_calls, paid_calls, minutes: of a compile.
    """

    seeds: tuple[int, ...]
    test: Estimate
    gain: Estimate
    by_seed: tuple[float, ...]
    val_baseline: float
    val_winner: float
    kept: int
    metric_calls: float
    lm_calls: float
    paid_calls: float
    minutes: float


def pooled(results: Sequence[Result]) -> Pooled:
    """Pool the runs of one optimizer on one task.

    Raises:
        ValueError: there is none, or they are of several tasks or optimizers.
    """
    if len({(result.task, result.optimizer) for result in results}) != 1:
        raise ValueError("the runs of one optimizer on one task are pooled")
    results = sorted(results, key=lambda result: result.seed)
    return Pooled(
        seeds=tuple(result.seed for result in results),
        test=reward_of([result.test for result in results]),
        gain=gain_of(
            [result.test for result in results], [result.test_baseline for result in results]
        ),
        by_seed=tuple(_mean(list(result.test.values())) for result in results),
        val_baseline=_mean([result.val_baseline for result in results]),
        val_winner=_mean([result.val_winner for result in results]),
        kept=sum(not result.improved for result in results),
        metric_calls=_mean([result.metric_calls for result in results]),
        lm_calls=_mean([result.lm_calls for result in results]),
        paid_calls=_mean([result.paid_calls for result in results]),
        minutes=_mean([result.compile_seconds for result in results]) / 60,
    )


def overall(tasks: Sequence[Sequence[Result]]) -> Estimate:
    """Return the mean difference to the baseline over the test rows of several tasks.

    Args:
        tasks: for each task, the runs of one optimizer on it.
    """
    ours: dict[str, float] = {}
    theirs: dict[str, float] = {}
    for results in tasks:
        for into, runs in (
            (ours, [result.test for result in results]),
            (theirs, [result.test_baseline for result in results]),
        ):
            into |= {f"{results[0].task}/{row}": mean for row, mean in _by_row(runs).items()}
    return gain_of([ours], [theirs])


def reward_of(runs: Sequence[Mapping[str, float]]) -> Estimate:
    """Return the mean reward of runs over the same rows, with the interval over rows."""
    values = list(_by_row(runs).values())
    return Estimate(_mean(values), *mean_interval(values, _SEED))


def gain_of(
    runs: Sequence[Mapping[str, float]], baselines: Sequence[Mapping[str, float]]
) -> Estimate:
    """Return the mean difference of runs to their baselines, paired by row."""
    test = paired_test(_by_row(runs), _by_row(baselines), seed=_SEED, level=_LEVEL)
    return Estimate(test.delta, test.low, test.high)


def _by_row(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    rows = sorted(runs[0])
    if any(sorted(run) != rows for run in runs):
        raise ValueError("the runs were measured on different rows")
    return {row: _mean([run[row] for run in runs]) for row in rows}


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
