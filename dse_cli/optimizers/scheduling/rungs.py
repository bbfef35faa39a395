"""Rungs: growing, nested subsets of val, in one order that the seed draws."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.draws import shuffled

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.search import Search

#: Fewer rows than this say nothing that is worth a decision.
FEWEST_ROWS = 5


def rung_order(search: Search) -> list[Row]:
    """Return the rows of val in the order of the race: every prefix is a fair sample of val.

    Rows are drawn with the seed, in two strata: those on which the base does better than its mean,
    and the others. Each prefix holds both in proportion, so that no rung is easier than val. The
    base is measured in full before any race, so this costs nothing; where it is not, there is one
    stratum.
    """
    in_id_order = sorted(search.val, key=lambda row: row.id)
    rows = shuffled(substream(search.seed, "scheduling", "order"), in_id_order)
    strata: dict[bool, list[Row]] = {}
    base = Candidate.of(search.base).id
    mean = search.engine.matrix.mean(base, rows) or 0.0
    for row in rows:
        cell = search.engine.matrix.get(base, row)
        reward = None if cell is None else cell.reward
        strata.setdefault(reward is not None and reward > mean, []).append(row)
    places = [
        ((index + 0.5) / len(members), is_easy, row)
        for is_easy, members in sorted(strata.items())
        for index, row in enumerate(members)
    ]
    return [row for _, _, row in sorted(places, key=lambda place: place[:2])]


def rung_sizes(rows: int, first: float, growth: float) -> list[int]:
    """Return how many rows each rung has: a share of all, growing, all of them at last."""
    sizes: list[int] = []
    size = max(float(FEWEST_ROWS), first * rows)
    while (rung := math.ceil(size)) < rows:
        sizes.append(rung)
        size = max(size * growth, rung + 1.0)
    return [*sizes, rows]
