"""The candidates of a search, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.evaluation.matrix import ScoreMatrix

#: Rewards closer than this are a tie (rounding in sums of weights).
TIE = 1e-12


@dataclass(frozen=True, slots=True)
class Entry:
    """A candidate and where it comes from.

    Attributes:
        candidate: the policy.
        origin: how it was made, in a few words (``instruction:rules``).
        parent: id of the candidate it was made from, None for the base.
    """

    candidate: Candidate
    origin: str
    parent: str | None


class Archive:
    """Distinct candidates; making the same policy twice keeps the first."""

    def __init__(self, matrix: ScoreMatrix, rows: Sequence[Row]) -> None:
        self._matrix = matrix
        self._rows = rows
        self._entries: dict[str, Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, candidate: Candidate, origin: str, parent: str | None) -> Entry:
        """Register a candidate and return its entry."""
        return self._entries.setdefault(candidate.id, Entry(candidate, origin, parent))

    def mean(self, entry: Entry) -> float | None:
        """Return the mean reward on val of a fully evaluated candidate, else None."""
        if not self._matrix.covers(entry.candidate.id, self._rows):
            return None
        return self._matrix.mean(entry.candidate.id, self._rows)

    def scored(self, entry: Entry) -> int:
        """Return how many rows its mean is over: those without an outage."""
        if self.mean(entry) is None:
            return 0
        cells = self._matrix.cells(entry.candidate.id, self._rows)
        return sum(cell.reward is not None for cell in cells)

    def tokens(self, entry: Entry) -> int | None:
        """Return the tokens charged for its evaluation on val."""
        return self._matrix.tokens(entry.candidate.id, self._rows)

    def best(self, among: Sequence[Entry] | None = None) -> Entry | None:
        """Return the best fully evaluated entry: highest mean, then fewer tokens, then id.

        Means are compared on the rows that every one of them has a score for: an outage on a hard
        row must not help. Unknown tokens come after known ones.
        """
        entries = [e for e in (self if among is None else among) if self.mean(e) is not None]
        rows = self._shared_rows(entries)
        best: Entry | None = None
        for entry in entries:
            if best is None or self._beats(entry, best, rows):
                best = entry
        return best

    def is_better(self, entry: Entry, than: Entry) -> bool:
        """Tell whether an entry's mean is higher, on the rows that both have a score for."""
        if self.mean(entry) is None or self.mean(than) is None:
            return False
        rows = self._shared_rows([entry, than])
        return self._mean_on(entry, rows) > self._mean_on(than, rows) + TIE

    def _beats(self, entry: Entry, best: Entry, rows: Sequence[Row]) -> bool:
        mean, top = self._mean_on(entry, rows), self._mean_on(best, rows)
        if abs(mean - top) > TIE:
            return mean > top
        return self._tie_key(entry) < self._tie_key(best)

    def _mean_on(self, entry: Entry, rows: Sequence[Row]) -> float:
        return self._matrix.mean(entry.candidate.id, rows) or 0.0

    def _shared_rows(self, entries: Sequence[Entry]) -> list[Row]:
        return [
            row
            for row in self._rows
            if all(
                (cell := self._matrix.get(entry.candidate.id, row)) is not None
                and cell.reward is not None
                for entry in entries
            )
        ]

    def _tie_key(self, entry: Entry) -> tuple[bool, int, str]:
        tokens = self.tokens(entry)
        return (tokens is None, tokens or 0, entry.candidate.id)
