"""The seam: an optimizer proposes policies, a scheduler finds the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.archive import Entry
from dse_cli.optimizers.scheduling.contest import Contest
from dse_cli.optimizers.scheduling.halving import halve, halving_rungs, most_halving_calls
from dse_cli.optimizers.scheduling.racing import race
from dse_cli.optimizers.scheduling.rungs import FEWEST_ROWS, rung_order, rung_sizes
from dse_cli.optimizers.scheduling.settings import HalvingSettings, RacingSettings, settings_of

if TYPE_CHECKING:
    from dse_cli.optimizers.scheduling.settings import SchedulerSpec
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy


@dataclass(frozen=True, slots=True)
class Proposed:
    """A policy that is to compete.

    Attributes:
        policy: what is evaluated.
        origin: how it was made, in a few words.
        parent: what it was made from.
    """

    policy: Policy
    origin: str
    parent: Entry | None


async def rank(
    search: Search,
    proposed: Sequence[Proposed],
    scheduler: SchedulerSpec | None = None,
    *,
    rival: Entry | None = None,
) -> Entry | None:
    """Return the best of the policies that were evaluated in full; None when none was.

    Without a scheduler each is evaluated on all of val, in order, and nothing is written to
    ``search.log``; with ``full`` it is. Otherwise they share rows as the scheduler says. Who is
    dropped stays in the archive without a mean.

    Args:
        rival: a fully evaluated entry that they must beat; the best of the archive when None. A
            candidate that cannot beat it may be dropped, so that None may come back.

    Raises:
        BudgetStopError: not everything fits. What was evaluated in full is in the archive.
    """
    settings = settings_of(scheduler)
    if settings is None or len(search.val) <= FEWEST_ROWS:
        return await _one_by_one(search, proposed, is_logged=scheduler is not None)
    contest = Contest(search, rung_order(search), rival or search.archive.best())
    if not _is_worth_it(contest, proposed, settings):
        return await _one_by_one(search, proposed, is_logged=True)
    entries = _register(search, proposed)
    running = [entry for entry in entries if not contest.is_full(entry)]
    if isinstance(settings, RacingSettings):
        await race(contest, running, settings)
    else:
        await halve(contest, running, settings)
    return search.archive.best(entries)


def most_calls(candidates: int, rows: int, scheduler: SchedulerSpec | None) -> int:
    """Return the most metric calls that ranking up to so many candidates can take."""
    settings = settings_of(scheduler)
    if isinstance(settings, HalvingSettings) and rows > FEWEST_ROWS:
        # One that is measured already does not compete, and how a budget divides among fewer may
        # make a longer schedule.
        counts = range(candidates + 1)
        return max(most_halving_calls(count, rows, settings) for count in counts)
    # Nobody may be dropped before the end of a race.
    return candidates * rows


async def _one_by_one(
    search: Search, proposed: Sequence[Proposed], *, is_logged: bool
) -> Entry | None:
    tried = []
    for item in proposed:
        entry = await search.try_policy(item.policy, item.origin, item.parent)
        tried.append(entry)
        if is_logged:
            mean = search.archive.mean(entry)
            search.log.trial("full", entry, rows=len(search.val), mean=mean)
    return search.archive.best(tried)


def _register(search: Search, proposed: Sequence[Proposed]) -> list[Entry]:
    """Return the entries of the policies, each once."""
    entries: dict[str, Entry] = {}
    for item in proposed:
        parent = None if item.parent is None else item.parent.candidate.id
        entry = search.archive.add(Candidate.of(item.policy), item.origin, parent)
        entries.setdefault(entry.candidate.id, entry)
    return list(entries.values())


def _is_worth_it(
    contest: Contest, proposed: Sequence[Proposed], settings: RacingSettings | HalvingSettings
) -> bool:
    """Tell whether the budget covers the first rung and one candidate in full.

    With less, a race would end with nothing but the base measured in full; candidate by candidate
    leaves some.
    """
    candidates = {item.policy.id: Candidate.of(item.policy) for item in proposed}
    rows = len(contest.order)
    if isinstance(settings, RacingSettings):
        first = rung_sizes(rows, settings.first, settings.growth)[0]
    else:
        first = next((rung.rows for rung in halving_rungs(len(candidates), rows, settings)), rows)
    entries = [Entry(candidate, "", None) for candidate in candidates.values()]
    rung = contest.missing(entries, 0, first)
    return contest.fits([*rung, *contest.missing(entries[:1], first, rows)])
