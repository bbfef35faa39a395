"""Guards of the gate: tests that a candidate is *worse* than allowed, while its reward is better.

All guards of a look are one family: Holm's step-down keeps the chance that any of them trips
without a cause at alpha (DESIGN section 4.1, rule 5).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.contracts.history import GuardResult
from dse_cli.evaluation.gate.resources import RESOURCES, relative_test
from dse_cli.evaluation.seeds import substream_seed
from dse_cli.evaluation.statistics.intervals import DECIMALS
from dse_cli.evaluation.statistics.paired_test import (
    Pairs,
    holm_adjusted,
    mean_above_p,
    paired_p,
    pairs_of,
)

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.project import GateGuards
    from dse_cli.evaluation.gate.row_measures import PerRow, RowMeasures

#: A tag with fewer rows that both policies answered is no slice: it could hardly show anything.
SLICE_ROWS: Final = 20


class Guard(NamedTuple):
    """One test before Holm: see :class:`~dse_cli.contracts.history.GuardResult`."""

    name: str
    n: int
    delta: float | None
    limit: float
    p: float


def guard_results(
    candidate: RowMeasures,
    baseline: RowMeasures,
    guards: GateGuards,
    rows: Sequence[Row],
    *,
    seed: int,
    alpha: float,
    allowed_loss: float = 0.0,
) -> tuple[GuardResult, ...]:
    """Test all guards on the rows that both policies answered.

    Args:
        candidate: per row.
        baseline: per row.
        guards: what is guarded.
        rows: of the holdout, for tags and groups.
        seed: of the draws.
        alpha: chance that any guard trips without a cause.
        allowed_loss: loss of reward that a slice may have: 0, or the margin when the question is
            whether the candidate is not inferior.
    """
    found = [
        *_answers(candidate, baseline, guards, rows, seed),
        *_slices(candidate, baseline, rows if guards.slices else (), seed, allowed_loss),
    ]
    adjusted = holm_adjusted([guard.p for guard in found])
    return tuple(
        GuardResult(
            name=guard.name,
            n=guard.n,
            delta=guard.delta,
            limit=guard.limit,
            p=guard.p,
            adjusted_p=round(p, DECIMALS),
            tripped=p <= alpha,
        )
        for guard, p in zip(found, adjusted, strict=True)
    )


def slice_tags(candidate: PerRow, baseline: PerRow, rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the row ids of every tag that at least 20 answered rows have, by tag."""
    members: dict[str, list[str]] = {}
    for row in rows:
        if candidate.get(row.id) is not None and baseline.get(row.id) is not None:
            for tag in row.tags:
                members.setdefault(tag, []).append(row.id)
    return {tag: ids for tag, ids in sorted(members.items()) if len(ids) >= SLICE_ROWS}


def _answers(
    candidate: RowMeasures,
    baseline: RowMeasures,
    guards: GateGuards,
    rows: Sequence[Row],
    seed: int,
) -> Iterator[Guard]:
    groups = {row.id: row.group for row in rows}
    if guards.decode_failures:
        pairs = pairs_of(candidate.decode_failures, baseline.decode_failures, groups)
        if pairs.left:
            p, _ = paired_p(pairs, substream_seed(seed, "guard", "decode_failures"))
            yield _guard("decode_failures", pairs, 0.0, p)
    for name in RESOURCES:
        limit = guards.tokens if name == "tokens" else guards.cost
        if limit is None:
            continue
        found = relative_test(
            candidate.of(name),
            baseline.of(name),
            1 + limit,
            "above",
            groups=groups,
            seed=substream_seed(seed, "guard", name),
        )
        if found.n:
            yield Guard(name, found.n, found.change, limit, found.p)


def _slices(
    candidate: RowMeasures,
    baseline: RowMeasures,
    rows: Sequence[Row],
    seed: int,
    allowed_loss: float,
) -> Iterator[Guard]:
    groups = {row.id: row.group for row in rows}
    ours, theirs = candidate.rewards, baseline.rewards
    for tag, ids in slice_tags(ours, theirs, rows).items():
        pairs = pairs_of({row: ours[row] for row in ids}, {row: theirs[row] for row in ids}, groups)
        if allowed_loss > 0:
            p = mean_above_p(pairs.swapped.differences, allowed_loss)
        else:
            p, _ = paired_p(pairs.swapped, substream_seed(seed, "guard", "tag", tag))
        yield _guard(f"tag {tag}", pairs, -allowed_loss, p)


def _guard(name: str, pairs: Pairs, limit: float, p: float) -> Guard:
    delta = math.fsum(pairs.differences) / len(pairs.left)
    # Adding 0.0 turns -0.0 into 0.0: a limit of no loss is plainly 0.
    return Guard(name, len(pairs.left), round(delta, DECIMALS), limit + 0.0, round(p, DECIMALS))
