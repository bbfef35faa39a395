"""Racing: a candidate leaves when it cannot catch up with the leader on the rest of val.

A race evaluates all candidates row by row, side by side, and drops those that are shown to be worse
than the best (Maron and Moore 1994, Hoeffding Races; Birattari et al. 2002, F-Race; Lopez-Ibanez et
al. 2016, irace). Ours differs in what it asks. The winner of a search is the best on val, a finite
set, so the test is whether the *rows that are left* can turn the deficit: exactly, when they cannot
give so much, or by a paired test with the finite population correction. Hoeffding's inequality and
the Friedman test of F-Race know no such end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dse_cli.evaluation.statistics.finite_population import is_out_of_reach, lead_p
from dse_cli.evaluation.statistics.paired_test import holm_adjusted
from dse_cli.optimizers.scheduling.rungs import rung_sizes

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.scheduling.contest import Contest
    from dse_cli.optimizers.scheduling.settings import RacingSettings


async def race(contest: Contest, entries: Sequence[Entry], settings: RacingSettings) -> None:
    """Evaluate entries on growing rungs; those that are left at the end are evaluated in full.

    Raises:
        BudgetStopError: a rung does not fit; the best was finished if that still fitted.
    """
    rungs = rung_sizes(len(contest.order), settings.first, settings.growth)[:-1]
    running, seen = list(entries), 0
    for size in rungs:
        if not running:
            return
        await contest.climb(running, seen, size)
        level = settings.alpha / len(rungs)
        running, seen = drop(contest, running, size, level), size
    # One by one, the best first: a stop then leaves the best of what was measured.
    for entry in contest.standing(running, seen):
        await contest.finish(entry)


def drop(contest: Contest, running: Sequence[Entry], size: int, level: float) -> list[Entry]:
    """Return who stays in the race after a rung, and write down every one with what came of it."""
    lead = contest.standing([*running, *_besides(contest, running)], size)[0]
    followers = [entry for entry in running if entry is not lead]
    why = _dropped(contest, lead, followers, size, level)
    for entry in running:
        note = "leads" if entry is lead else why.get(entry.candidate.id, "")
        contest.note("rung", entry, size, note)
    return [entry for entry in running if entry.candidate.id not in why]


def _dropped(
    contest: Contest, lead: Entry, followers: Sequence[Entry], size: int, level: float
) -> dict[str, str]:
    """Return why candidates are dropped, by id."""
    whom = [_out_of_reach(contest, lead, entry, size) for entry in followers]
    ps = [
        0.0 if better is not None else _behind(contest, lead, entry, size)
        for entry, better in zip(followers, whom, strict=True)
    ]
    why: dict[str, str] = {}
    for entry, better, p in zip(followers, whom, holm_adjusted(ps), strict=True):
        if better is not None:
            why[entry.candidate.id] = f"dropped: out of reach of {better.origin}"
        elif p <= level:
            why[entry.candidate.id] = f"dropped: p = {p:.2g}, behind {lead.origin}"
    return why


def _out_of_reach(contest: Contest, lead: Entry, entry: Entry, size: int) -> Entry | None:
    """Return whom an entry can no longer reach, whatever the rows that are left give; or None.

    What the rival can still lose is known, since it was measured in full, so an entry may be out of
    its reach before it is out of the leader's.
    """
    for better in [lead, *_besides(contest, [lead])]:
        differences = _differences(contest, better, entry, size)
        if is_out_of_reach(differences, _gains(contest, better, size)):
            return better
    return None


def _behind(contest: Contest, lead: Entry, entry: Entry, size: int) -> float:
    """Return the p of "over all of val, the leader is not above this one"."""
    differences = _differences(contest, lead, entry, size)
    # A row that either has no answer for counts for neither: it is no part of what is compared.
    lost = size - len(differences)
    return lead_p(differences, len(contest.order) - lost)


def _differences(contest: Contest, better: Entry, entry: Entry, size: int) -> list[float]:
    rows = contest.order[:size]
    ours, theirs = contest.rewards(better, rows), contest.rewards(entry, rows)
    return [ours[row] - theirs[row] for row in ours if row in theirs]


def _gains(contest: Contest, better: Entry, size: int) -> list[float]:
    rest = contest.order[size:]
    known = contest.rewards(better, rest)
    return [1.0 - known.get(row.id, 0.0) for row in rest]


def _besides(contest: Contest, entries: Sequence[Entry]) -> list[Entry]:
    """Return the rival, unless there is none or it is among the entries."""
    rival = contest.rival
    return [] if rival is None or any(entry is rival for entry in entries) else [rival]
