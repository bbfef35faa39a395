"""Tests of tokens and cost per row: is the mean above, or below, a share of the baseline's?"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from dse_cli.contracts.history import SavingResult
from dse_cli.evaluation.seeds import substream_seed
from dse_cli.evaluation.statistics.intervals import DECIMALS
from dse_cli.evaluation.statistics.paired_test import Pairs, pairs_of, sign_flip_p

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse_cli.contracts.project import PromisedSaving
    from dse_cli.evaluation.gate.row_measures import PerRow, Resource, RowMeasures

RESOURCES: Final[tuple[Resource, ...]] = ("tokens", "cost")


class Relative(NamedTuple):
    """How the candidate's mean per row compares with the baseline's.

    Attributes:
        n: pairs.
        change: relative change of the mean, None when the baseline used nothing.
        p: one-sided p-value of "not beyond the share that was asked about".
    """

    n: int
    change: float | None
    p: float


def relative_test(
    candidate: PerRow,
    baseline: PerRow,
    share: float,
    side: Literal["above", "below"],
    *,
    groups: Mapping[str, str | None] | None,
    seed: int,
) -> Relative:
    """Test whether the candidate's mean is above (or below) ``share`` times the baseline's.

    The one-sided sign-flip test of candidate - share x baseline per row, or per group.

    Args:
        candidate: tokens or nano-dollars by row id.
        baseline: likewise.
        share: of the baseline's mean, for example 1.5 or 0.8.
        side: which side is to be shown.
        groups: group per row id.
        seed: of the draws.
    """
    pairs = pairs_of(candidate, baseline, groups)
    if not pairs.left:
        return Relative(0, None, 1.0)
    excess = [ours - share * theirs for ours, theirs in zip(*pairs, strict=True)]
    sign = 1 if side == "above" else -1
    # Sign flips count in units of 1e-12 in 64 bits: only the ratios of the excesses matter.
    largest = max(abs(value) for value in excess) or 1.0
    p, _ = sign_flip_p([sign * value / largest for value in excess], substream_seed(seed, side))
    return Relative(len(pairs.left), _change(pairs), round(p, DECIMALS))


def saving_results(
    candidate: RowMeasures,
    baseline: RowMeasures,
    promised: PromisedSaving,
    *,
    groups: Mapping[str, str | None] | None,
    seed: int,
    level: float,
) -> tuple[SavingResult, ...]:
    """Test every promised saving: is the candidate's mean below (1 - promised) x the baseline's?

    All of them and the lower bound of the reward must hold, so each is tested at the whole level
    (an intersection-union test; Berger 1982, doi:10.1080/00401706.1982.10487790).
    """
    results = []
    for name in RESOURCES:
        share = promised.tokens if name == "tokens" else promised.cost
        if share is None:
            continue
        found = relative_test(
            candidate.of(name),
            baseline.of(name),
            1 - share,
            "below",
            groups=groups,
            seed=substream_seed(seed, "saving", name),
        )
        known = candidate.unknown(name) == baseline.unknown(name) == 0
        results.append(
            SavingResult(
                name=name,
                n=found.n,
                promised=share,
                observed=None if found.change is None else round(-found.change, DECIMALS),
                p=found.p,
                shown=known and found.p <= level,
            )
        )
    return tuple(results)


def _change(pairs: Pairs) -> float | None:
    ours, theirs = math.fsum(pairs.left), math.fsum(pairs.right)
    return None if theirs == 0 else round(ours / theirs - 1, DECIMALS)
