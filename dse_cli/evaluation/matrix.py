"""The score matrix: candidates x examples (x rollouts). Everything else is a view over it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell

CellKey = tuple[str, str, int]  #: candidate id, row content hash, rollout


class ScoreMatrix:
    """Cells by candidate, example content hash and rollout. A cell is written once."""

    def __init__(self) -> None:
        self._cells: dict[CellKey, Cell] = {}

    def __len__(self) -> int:
        return len(self._cells)

    def __contains__(self, key: CellKey) -> bool:
        return key in self._cells

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._cells.values())

    def put(self, cell: Cell) -> None:
        """Add a cell that is not there yet."""
        key = (cell.candidate, cell.example_hash, cell.rollout)
        if key in self._cells:
            raise KeyError(f"the cell {key} is filled already")
        self._cells[key] = cell

    def get(self, candidate: str, row: Row, rollout: int = 0) -> Cell | None:
        """Return a cell, or None when it is empty."""
        return self._cells.get((candidate, row.hash, rollout))

    def cells(self, candidate: str, rows: Sequence[Row], rollouts: int = 1) -> list[Cell]:
        """Return the filled cells of one candidate on ``rows``, in row order."""
        found = (self.get(candidate, row, r) for row in rows for r in range(rollouts))
        return [cell for cell in found if cell is not None]

    def covers(self, candidate: str, rows: Iterable[Row], rollouts: int = 1) -> bool:
        """Tell whether a candidate has every cell of ``rows``."""
        return all((candidate, row.hash, r) in self._cells for row in rows for r in range(rollouts))

    def mean(self, candidate: str, rows: Sequence[Row], rollouts: int = 1) -> float | None:
        """Return the mean reward over the cells that have one; None when none has."""
        rewards = [
            cell.reward for cell in self.cells(candidate, rows, rollouts) if cell.reward is not None
        ]
        return math.fsum(rewards) / len(rewards) if rewards else None

    def tokens(self, candidate: str, rows: Sequence[Row], rollouts: int = 1) -> int | None:
        """Return the tokens charged for those cells; None when any of them is unknown."""
        total = 0
        for cell in self.cells(candidate, rows, rollouts):
            if cell.usage.total_tokens is None:
                return None
            total += cell.usage.total_tokens
        return total
