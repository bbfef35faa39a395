"""``fewshot_greedy_forward.v2``: greedy forward selection of demos that asks again only if it must.

Lazy greedy (Minoux 1978, Accelerated greedy algorithms for maximizing submodular set functions;
CELF: Leskovec et al. 2007, Cost-effective outbreak detection in networks, section 4)::

    gain[row] = gain of showing the row alone, for each row of the pool
    repeat:
        row = the row with the highest gain, as last measured
        if that is not above 0: stop
        if it was measured with the demos chosen so far: choose it
        else: measure it with them

For a reward that is submodular (a demo helps less, the more are shown) the choice is that of the
full search, since a gain can only have shrunk since it was measured. Rewards of prompts are not
promised to be: a demo that helps only beside another is passed over, as one that was measured long
ago. What it saves is the second and all later rounds over the pool.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.contracts.search_record import DemoSetRecord, ShownDemo
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.archive import TIE
from dse_cli.optimizers.fewshot_greedy_forward import demo_json, demo_pool, greedy_evaluations
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.rank import Proposed, rank
from dse_cli.optimizers.scheduling.settings import SchedulerSpec
from dse_cli.optimizers.search import Optimizer, SettingProblem

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy


class FewShotLazyGreedyConfig(Contract):
    """Settings; ``search_space.few_shot`` says how many demos and from which rows.

    Attributes:
        scheduler: how candidates share the rows of val; each on all of them when absent.
    """

    scheduler: SchedulerSpec | None = None


class FewShotLazyGreedy(Optimizer[FewShotLazyGreedyConfig]):
    """Greedy forward selection of demos with lazy evaluation."""

    id: ClassVar[str] = "fewshot_greedy_forward.v2"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"few_shot"})

    async def search(self, search: Search, config: FewShotLazyGreedyConfig) -> None:
        """Evaluate base, zero-shot, and the lazy path."""
        current = await search.try_base()
        search.log.trial("base", current, rows=len(search.val), mean=search.archive.mean(current))
        if search.base.demos:
            zero_shot = search.base.patched({"few_shot": {"examples": []}})
            found = await rank(search, [Proposed(zero_shot, "demos:none", current)], "full")
            current = found or current
        await LazyGreedy(search, config.scheduler).run(current)

    def most_candidates(self, search: Search, config: FewShotLazyGreedyConfig) -> int:
        """Return base, zero-shot and a full round for each demo: nothing may be saved."""
        return 2 + greedy_evaluations(search)

    def problems(
        self, config: FewShotLazyGreedyConfig, *, train: int, val: int
    ) -> Sequence[SettingProblem]:
        """Refuse a scheduler without an effect."""
        return scheduler_problems(config.scheduler, val)


@dataclass(frozen=True, slots=True)
class Bid:
    """What a row promised when it was last measured.

    Attributes:
        row: the demo.
        gain: mean reward with it, minus without.
        shown: how many demos were shown besides when it was measured in full; -1 if it was not.
        tokens: charged for that, None when unknown.
        entry: the candidate of that measurement.
    """

    row: Row
    gain: float
    shown: int
    tokens: int | None
    entry: Entry

    @property
    def rank(self) -> tuple[int, int, bool, int, str]:
        """Highest gain first, then the latest measurement, then as in the archive."""
        steps = -round(self.gain / TIE)
        tokens = (self.tokens is None, self.tokens or 0)
        return (steps, -self.shown, *tokens, self.entry.candidate.id)


@dataclass
class LazyGreedy:
    """The loop, for one policy."""

    search: Search
    scheduler: SchedulerSpec | None

    async def run(self, current: Entry) -> Entry:
        """Grow demos on ``current``, which shows none, and return the best of the path."""
        space = self.search.space.few_shot
        most = 0 if space is None else space.k_max
        chosen: list[Row] = []
        bids = await self._bids(demo_pool(self.search), chosen, current) if most else []
        while bids and len(chosen) < most:
            best = min(bids, key=lambda bid: bid.rank)
            if best.gain <= TIE:
                break
            bids.remove(best)
            if best.shown == len(chosen):
                chosen.append(best.row)
                current = best.entry
                self._note(chosen)
            else:
                bids += await self._bids([best.row], chosen, current)
        return current

    async def _bids(self, rows: Sequence[Row], chosen: Sequence[Row], current: Entry) -> list[Bid]:
        """Measure rows as the next demo."""
        proposed = [
            Proposed(self._policy([*chosen, row]), f"demos:+{row.id}", current) for row in rows
        ]
        best = await rank(self.search, proposed, self.scheduler or "full", rival=current)
        most = 0.0 if best is None else self._gain(best, current)
        bids = []
        for row, item in zip(rows, proposed, strict=True):
            entry = self.search.archive.add(Candidate.of(item.policy), item.origin, None)
            gain, tokens = self._gain(entry, current), self.search.archive.tokens(entry)
            if self.search.archive.mean(entry) is None:
                # Dropped: it is no better than the one that was not, whatever its few rows say.
                bids.append(Bid(row, min(gain, most), -1, tokens, entry))
            else:
                bids.append(Bid(row, gain, len(chosen), tokens, entry))
        return bids

    def _gain(self, entry: Entry, current: Entry) -> float:
        """Return the mean difference on the rows where both have a reward; 0 without one."""
        matrix, rows = self.search.engine.matrix, self.search.val
        ours, theirs = (
            {cell.example: cell.reward for cell in matrix.cells(found.candidate.id, rows)}
            for found in (entry, current)
        )
        differences = [
            mine - other
            for row, mine in ours.items()
            if mine is not None and (other := theirs.get(row)) is not None
        ]
        return math.fsum(differences) / len(differences) if differences else 0.0

    def _policy(self, rows: Sequence[Row]) -> Policy:
        demos = [{**demo_json(row), "source": "labelled"} for row in rows]
        return self.search.base.patched({"few_shot": {"examples": demos}})

    def _note(self, chosen: Sequence[Row]) -> None:
        sets = self.search.log.demo_sets
        sets.append(
            DemoSetRecord(
                index=len(sets),
                recipe=f"greedy {len(chosen)}",
                demos=tuple(ShownDemo(source="labelled", id=row.id) for row in chosen),
            )
        )
