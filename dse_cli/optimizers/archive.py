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

    def tokens(self, entry: Entry) -> int | None:
        """Return the tokens charged for its evaluation on val."""
        return self._matrix.tokens(entry.candidate.id, self._rows)

    def best(self, among: Sequence[Entry] | None = None) -> Entry | None:
        """Return the best fully evaluated entry: highest mean, then fewer tokens, then id.

        Unknown tokens come after known ones.
        """
        best: Entry | None = None
        for entry in self if among is None else among:
            if self.mean(entry) is not None and (best is None or self._beats(entry, best)):
                best = entry
        return best

    def _beats(self, entry: Entry, best: Entry) -> bool:
        mean, top = self.mean(entry) or 0.0, self.mean(best) or 0.0
        if abs(mean - top) > TIE:
            return mean > top
        return self._tie_key(entry) < self._tie_key(best)

    def _tie_key(self, entry: Entry) -> tuple[bool, int, str]:
        tokens = self.tokens(entry)
        return (tokens is None, tokens or 0, entry.candidate.id)
