"""Successive halving: spend a budget evenly over rungs, keep the best 1/eta after each.

Jamieson and Talwalkar 2016 (arXiv:1502.07943, figure 3), with eta = 2 there: in rung k, each of the
candidates S_k gets r_k = floor(B / (|S_k| ceil(log_eta n))) more rows. Of S_k the best
ceil(|S_k| / eta) stay (the ceiling of Karnin, Koren and Somekh 2013), so that exactly one is left
after the last rung for any n, and not only for powers of eta. A pull of an arm is a row of val, in
an order that all candidates share; no candidate gets more rows than there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.scheduling.contest import Contest
    from dse_cli.optimizers.scheduling.settings import HalvingSettings


class Rung(NamedTuple):
    """How many candidates see how many rows, counted from the first, and how many stay."""

    candidates: int
    rows: int
    stay: int


def halving_rungs(candidates: int, rows: int, settings: HalvingSettings) -> Iterator[Rung]:
    """Yield the rungs of ``candidates`` on ``rows``; none for a single candidate."""
    count = rung_count(candidates, settings.eta)
    # As it is written: 0.3 of 90 pulls is 27, and not what binary fractions make of it.
    budget = int(Fraction(str(settings.budget_share)) * candidates * rows)
    left, pulled = candidates, 0
    for _ in range(count):
        # A budget under one pull each would rank nothing.
        pulled = min(rows, pulled + max(1, budget // (left * count)))
        stay = -(-left // settings.eta)
        yield Rung(left, pulled, stay)
        left = stay


def rung_count(candidates: int, eta: int) -> int:
    """Return ceil(log_eta n), in whole numbers."""
    count, reached = 0, 1
    while reached < candidates:
        count, reached = count + 1, reached * eta
    return count


def most_halving_calls(candidates: int, rows: int, settings: HalvingSettings) -> int:
    """Return the metric calls of halving and of finishing the last candidate, the base not."""
    calls = pulled = 0
    for rung in halving_rungs(candidates, rows, settings):
        calls += rung.candidates * (rung.rows - pulled)
        pulled = rung.rows
    return calls + (rows - pulled if candidates else 0)


async def halve(contest: Contest, entries: Sequence[Entry], settings: HalvingSettings) -> None:
    """Run the rungs, and evaluate the one that is left in full.

    Raises:
        BudgetStopError: a rung does not fit; the best was finished if that still fitted.
    """
    running, seen = list(entries), 0
    for rung in halving_rungs(len(running), len(contest.order), settings):
        await contest.climb(running, seen, rung.rows)
        ranked = contest.standing(running, rung.rows)
        for place, entry in enumerate(ranked):
            note = "" if place < rung.stay else f"dropped: rank {place + 1} of {len(ranked)}"
            contest.note("rung", entry, rung.rows, note)
        running, seen = ranked[: rung.stay], rung.rows
    for entry in running:
        await contest.finish(entry)
