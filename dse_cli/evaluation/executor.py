"""Runs a batch of cell tasks; the seam where a cluster may stand in for local asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.evaluation.ledger import Bound
    from dse_cli.evaluation.query import Query
    from dse_cli.runtime.prediction import Prediction

Item = TypeVar("Item")
Result = TypeVar("Result")


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

    async def answer(self, query: Query) -> Prediction:
        """Ask a policy that is not under search."""
        ...

    def query_bound(self, query: Query) -> Bound:
        """Return what the answer cannot exceed."""
        ...


class Executor(Protocol):
    """Fills a batch of cells."""

    async def run(self, tasks: Sequence[CellTask], on_cell: Callable[[Cell], None]) -> list[Cell]:
        """Return the cells in the order of ``tasks``; ``on_cell`` sees them as they finish."""
        ...

    async def ask(self, queries: Sequence[Query]) -> list[Prediction]:
        """Return the answers in the order of ``queries``."""
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

        async def fill(task: CellTask) -> Cell:
            cell = await self._runner.run(task)
            on_cell(cell)
            return cell

        return await in_order(tasks, fill, self._concurrency)

    async def ask(self, queries: Sequence[Query]) -> list[Prediction]:
        """Return the answers in the order of ``queries``."""
        return await in_order(queries, self._runner.answer, self._concurrency)


async def in_order(
    items: Sequence[Item], work: Callable[[Item], Awaitable[Result]], concurrency: int
) -> list[Result]:
    """Return what ``work`` makes of each item, in the order of ``items``."""
    results: dict[int, Result] = {}
    queue = iter(range(len(items)))

    async def take() -> None:
        for index in queue:
            results[index] = await work(items[index])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(min(concurrency, len(items))):
                group.create_task(take())
    except BaseExceptionGroup as failures:
        # One worker failed and the group cancelled the rest: show the cause, not the group.
        raise failures.exceptions[0] from None
    return [results[index] for index in range(len(items))]
