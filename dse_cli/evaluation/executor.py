"""Runs a batch of cell tasks; the seam where a cluster may stand in for local asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.evaluation.ledger import Bound


@dataclass(frozen=True, slots=True)
class CellTask:
    """One candidate on one row, one rollout.

    Attributes:
        path: logical path of the cell; model calls append to it.
    """

    candidate: Candidate
    row: Row
    rollout: int
    path: str


class CellRunner(Protocol):
    """Fills one cell."""

    async def run(self, task: CellTask) -> Cell:
        """Run and score; outages are in the cell, never raised."""
        ...

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        """Return what the cell cannot exceed."""
        ...


class Executor(Protocol):
    """Fills a batch of cells."""

    async def run(self, tasks: Sequence[CellTask], on_cell: Callable[[Cell], None]) -> list[Cell]:
        """Return the cells in the order of ``tasks``; ``on_cell`` sees them as they finish."""
        ...


class LocalExecutor:
    """A fixed number of workers on this event loop.

    Workers and not a task per cell: a batch of 100,000 cells costs no more memory per cell in
    flight than a batch of ten.

    Args:
        runner: fills a cell.
        concurrency: cells in flight, at least 1.
    """

    def __init__(self, runner: CellRunner, concurrency: int) -> None:
        self._runner = runner
        self._concurrency = concurrency

    async def run(self, tasks: Sequence[CellTask], on_cell: Callable[[Cell], None]) -> list[Cell]:
        """Return the cells in the order of ``tasks``."""
        cells: list[Cell | None] = [None] * len(tasks)
        queue = iter(range(len(tasks)))

        async def work() -> None:
            for index in queue:
                cell = await self._runner.run(tasks[index])
                cells[index] = cell
                on_cell(cell)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(tasks))):
                    group.create_task(work())
        except BaseExceptionGroup as failures:
            # One worker failed and the group cancelled the rest: show the cause, not the group.
            raise failures.exceptions[0] from None
        return [cell for cell in cells if cell is not None]
