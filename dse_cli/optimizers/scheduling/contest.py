"""Candidates that compete on growing prefixes of val: evaluate, stand, finish, write down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.evaluation.ledger import Bound
from dse_cli.optimizers.archive import TIE

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search

    Cells = list[tuple[Candidate, Row]]


@dataclass(frozen=True)
class Contest:
    """A field of candidates on one order of rows.

    Attributes:
        search: whose engine, archive and log are used.
        order: the rows of val; a rung of size s is the first s of them.
        rival: a fully evaluated entry to beat, None when there is none.
    """

    search: Search
    order: Sequence[Row]
    rival: Entry | None

    def is_full(self, entry: Entry) -> bool:
        """Tell whether an entry has a cell on every row of val."""
        return self.search.engine.matrix.covers(entry.candidate.id, self.order)

    def rewards(self, entry: Entry, rows: Sequence[Row]) -> dict[str, float]:
        """Return rewards by row id, for the rows that have one."""
        cells = self.search.engine.matrix.cells(entry.candidate.id, rows)
        return {cell.example: cell.reward for cell in cells if cell.reward is not None}

    def standing(self, entries: Sequence[Entry], size: int) -> list[Entry]:
        """Return entries on the first ``size`` rows, the best first, by the rule of the archive.

        Highest mean on the rows where all have a reward, then fewer tokens, then id.
        """
        rows = self.order[:size]
        rewards = {entry.candidate.id: self.rewards(entry, rows) for entry in entries}
        shared = [row.id for row in rows if all(row.id in found for found in rewards.values())]

        def key(entry: Entry) -> tuple[float, bool, int, str]:
            found = rewards[entry.candidate.id]
            mean = math.fsum(found[row] for row in shared) / max(1, len(shared))
            tokens = self.search.engine.matrix.tokens(entry.candidate.id, rows)
            # Means are compared in steps of a tie, so that the order is one of whole numbers.
            return (-round(mean / TIE), tokens is None, tokens or 0, entry.candidate.id)

        return sorted(entries, key=key)

    def missing(self, entries: Sequence[Entry], start: int, end: int) -> Cells:
        """Return the cells that entries lack on the rows from ``start`` to before ``end``."""
        matrix = self.search.engine.matrix
        return [
            (entry.candidate, row)
            for entry in entries
            for row in self.order[start:end]
            if matrix.get(entry.candidate.id, row) is None
        ]

    def fits(self, cells: Cells) -> bool:
        """Tell whether the budget covers cells at their dearest."""
        engine = self.search.engine
        if not engine.ledger.is_limited:
            return True
        return engine.ledger.fits(sum((engine.bound(*cell) for cell in cells), Bound()))

    async def climb(self, entries: Sequence[Entry], seen: int, size: int) -> None:
        """Evaluate entries, known on the first ``seen`` rows, on ``size`` rows, as one batch.

        When that would leave too little to finish the best of them, it is finished first: a budget
        that ends in the middle of a race must not leave everything half measured.

        Raises:
            BudgetStopError: the rung does not fit.
        """
        if seen:
            best = self.standing(entries, seen)[0]
            rest = self.missing([best], size, len(self.order))
            if not self.fits([*self.missing(entries, seen, size), *rest]):
                await self.finish(best)
        pairs = [(entry.candidate, row, 0) for entry in entries for row in self.order[:size]]
        label = f"rung of {size} rows: {len(entries)} in the race"
        await self.search.engine.evaluate_many(pairs, label=label)

    async def finish(self, entry: Entry) -> None:
        """Evaluate an entry on all of val, and write that down.

        Raises:
            BudgetStopError: it does not fit.
        """
        if self.is_full(entry):
            return
        await self.search.engine.evaluate(entry.candidate, self.order, label=entry.origin)
        self.note("full", entry, len(self.order))

    def note(self, kind: str, entry: Entry, size: int, text: str = "") -> None:
        """Write a trial down, with the mean on the first ``size`` rows."""
        mean = self.search.engine.matrix.mean(entry.candidate.id, self.order[:size])
        self.search.log.trial(kind, entry, rows=size, mean=mean, note=text)
