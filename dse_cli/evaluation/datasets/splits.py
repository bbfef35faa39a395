"""Splits drawn by hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.evaluation.seeds import unit_draw

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import HashSplit, Split


def hashed_split(rule: HashSplit, row_id: str) -> Split:
    """Return the split of a row by a hash of seed and id: a new row moves no old one."""
    place = unit_draw(rule.seed, "split", row_id)
    shares: list[tuple[Split, float]] = [
        ("train", rule.train),
        ("val", rule.val),
        ("holdout", rule.holdout),
    ]
    # A split with no share gets no row, even where the shares add up to a little less than 1.
    used = [(split, share) for split, share in shares if share > 0]
    upper = 0.0
    for split, share in used[:-1]:
        upper += share
        if place < upper:
            return split
    return used[-1][0]
