"""The evaluation engine: one for every optimizer, for ``dse eval``, the gates and replay.

``evaluate_many`` fills cells of the score matrix. Before a batch, the cells that the matrix does
not hold yet are checked against the budget: they fit, or the batch does not start. A batch is
filled whole or not at all, so what a search sees never depends on the order of completion.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

from dse_cli.contracts.errors import DseError, InfrastructureError, MetricFailedError
from dse_cli.contracts.evaluation import OUTAGES
from dse_cli.evaluation.collector import rare_collections
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import Bound, BudgetStopError, Ledger
from dse_cli.evaluation.matrix import ScoreMatrix
from dse_cli.evaluation.views.words import counted, percent

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.evaluation.executor import CellRunner, Executor
    from dse_cli.evaluation.query import Query
    from dse_cli.lm.meter import Meter
    from dse_cli.runtime.prediction import Prediction

Result = TypeVar("Result")

#: A batch is given up when this many cells came back and every one of them was an outage.
HOPELESS_AFTER = 8
#: What to do when a metric failed.
METRIC_HINT = (
    "a metric or a judge that fails is not an outage, and trying again does not help: mend it, "
    "then run this again; answers that came are in the cache"
)


class Observer(Protocol):
    """Sees work as it happens; decides nothing."""

    def run_started(self, meter: Meter) -> None:
        """A run begins; ``meter`` counts what it is charged and what it pays."""
        ...

    def batch_started(self, label: str, cells: int) -> None:
        """A batch of ``cells`` new cells begins."""
        ...

    def cell_done(self, cell: Cell) -> None:
        """A cell came back, in any order."""
        ...

    def queries_started(self, label: str, count: int) -> None:
        """Questions of the search itself (proposals) are asked."""
        ...


class SilentObserver:
    """Sees nothing."""

    def run_started(self, meter: Meter) -> None:
        """Ignore."""

    def batch_started(self, label: str, cells: int) -> None:
        """Ignore."""

    def cell_done(self, cell: Cell) -> None:
        """Ignore."""

    def queries_started(self, label: str, count: int) -> None:
        """Ignore."""


class Engine:
    """Fills the score matrix within a budget.

    Args:
        executor: runs tasks.
        runner: bounds cells (and, in the local executor, runs them).
        ledger: the run's budget.
        max_error_rate: share of outages in a batch above which the run ends, resumable.
        observer: progress.
        stop_at: a batch number recorded by an earlier run as its time stop; obeyed in a replay.
        roll_back: called with the path prefixes of a batch that a time stop undid.
        clock: monotonic seconds, for the time budget only.
    """

    def __init__(
        self,
        executor: Executor,
        runner: CellRunner,
        ledger: Ledger,
        *,
        max_error_rate: float = 0.0,
        observer: Observer | None = None,
        stop_at: int | None = None,
        roll_back: Callable[[list[str]], None] = lambda prefixes: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.matrix = ScoreMatrix()
        self.ledger = ledger
        self._executor = executor
        self._runner = runner
        self._max_error_rate = max_error_rate
        self._observer = observer or SilentObserver()
        self._stop_at = stop_at
        self._roll_back = roll_back
        self._clock = clock
        self._started = clock()
        self._batches = 0
        self._numbers: dict[str, int] = {}

    async def evaluate(
        self, candidate: Candidate, rows: Sequence[Row], *, rollouts: int = 1, label: str = "cells"
    ) -> list[Cell]:
        """Return the cells of one candidate on ``rows``, in row order, filling what is missing.

        Raises:
            BudgetStopError: the missing cells do not fit; none was started.
            InfrastructureError: too many outages.
            MetricFailedError: likewise, and every one of them is an error of a metric.
        """
        pairs = [(candidate, row, r) for row in rows for r in range(rollouts)]
        await self.evaluate_many(pairs, label=label)
        return self.matrix.cells(candidate.id, rows, rollouts)

    async def evaluate_many(
        self, pairs: Iterable[tuple[Candidate, Row, int]], *, label: str = "cells"
    ) -> None:
        """Fill the cells of (candidate, row, rollout) as one batch."""
        with rare_collections():
            await self._fill(pairs, label)

    async def ask(self, queries: Sequence[Query], *, label: str = "questions") -> list[Prediction]:
        """Return the answers to questions of the search itself, in their order, as one batch.

        Raises:
            ShareStopError: the proposer's share of the budget may not cover them.
            BudgetStopError: they do not fit; none was asked.
            InfrastructureError: too many outages.
        """
        if not queries:
            return []
        batch = self._batches
        if self.ledger.is_limited or self.ledger.proposer is not None:
            bound = sum(map(self._runner.query_bound, queries), Bound())
            self.ledger.check_query(bound, batch)
        self._check_time(batch)
        self._observer.queries_started(label, len(queries))
        paths = [query.path for query in queries]
        answers = await self._within_time(self._executor.ask(queries), paths, batch)
        self._batches += 1
        self.ledger.charge_queries(answer.usage for answer in answers)
        lost = [
            (query.path, answer.error)
            for query, answer in zip(queries, answers, strict=True)
            if answer.error is not None and answer.error.kind in OUTAGES
        ]
        if lost and len(lost) / len(queries) > self._max_error_rate:
            path, error = lost[0]
            whom = "embedder" if queries[0].embedder is not None else "proposer"
            raise InfrastructureError(
                f"{len(lost)} of {counted(len(queries), 'question')} to the {whom} have no "
                f"answer ({error.kind}), the limit is {percent(self._max_error_rate)}; "
                f"at {path}: {error.message}",
                hint="finished calls are kept, run again with --resume",
            )
        return answers

    @property
    def batches(self) -> int:
        """How many batches ran: the number of the next."""
        return self._batches

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        """Return what one cell cannot exceed."""
        return self._runner.bound(candidate, row)

    def query_bound(self, query: Query) -> Bound:
        """Return what the answer to a question cannot exceed."""
        return self._runner.query_bound(query)

    async def _fill(self, pairs: Iterable[tuple[Candidate, Row, int]], label: str) -> None:
        tasks = self._missing(pairs)
        if not tasks:
            return
        batch = self._batches
        self._check_budget(tasks, batch)
        self._observer.batch_started(label, len(tasks))
        cells = await self._run(tasks, batch)
        self._batches += 1
        for cell in cells:
            self.matrix.put(cell)
        self.ledger.charge(cells)
        self._check_outages(cells)

    def _missing(self, pairs: Iterable[tuple[Candidate, Row, int]]) -> list[CellTask]:
        tasks: dict[tuple[str, str, int], CellTask] = {}
        for candidate, row, rollout in pairs:
            key = (candidate.id, row.hash, rollout)
            if key not in self.matrix and key not in tasks:
                if row.id in candidate.shown:
                    raise ValueError(f"{row.id} would score a candidate that shows it as a demo")
                tasks[key] = CellTask(candidate, row, rollout, self._path(candidate, row, rollout))
        return list(tasks.values())

    def _path(self, candidate: Candidate, row: Row, rollout: int) -> str:
        number = self._numbers.setdefault(candidate.id, len(self._numbers))
        return f"cand={number:04d}/ex={row.hash[7:19]}/rollout={rollout}"

    def _check_budget(self, tasks: list[CellTask], batch: int) -> None:
        if self.ledger.is_limited:
            bound = sum((self._runner.bound(task.candidate, task.row) for task in tasks), Bound())
            self.ledger.check(bound, batch)
        self._check_time(batch)

    def _check_time(self, batch: int) -> None:
        """End the run when its time is over; asked last, when nothing else stops this batch.

        A search may go on after work that the proposer's share or a budget refused, under the same
        batch number. A replay that looked at its recorded stop first would end there already.
        """
        if self._stop_at is not None and batch >= self._stop_at:
            raise BudgetStopError("max_time_s", batch, "the recorded run stopped here")
        limit = self.ledger.limits.max_time_s
        if limit is not None and self._stop_at is None and self._clock() - self._started >= limit:
            raise BudgetStopError("max_time_s", batch, f"{limit:g} s are over")

    async def _run(self, tasks: list[CellTask], batch: int) -> list[Cell]:
        watch = _OutageWatch(self._observer, len(tasks))
        paths = [task.path for task in tasks]
        return await self._within_time(self._executor.run(tasks, watch), paths, batch)

    async def _within_time(self, work: Awaitable[Result], paths: list[str], batch: int) -> Result:
        """Wait for a batch; when the time budget ends it, undo what it recorded."""
        limit = self.ledger.limits.max_time_s
        remaining = None
        if limit is not None and self._stop_at is None:
            remaining = limit - (self._clock() - self._started)
        try:
            async with asyncio.timeout(remaining) as whole:
                return await work
        except TimeoutError:
            if not whole.expired():
                raise
            self._roll_back(paths)
            detail = f"{limit:g} s were over during batch {batch}, which was undone"
            raise BudgetStopError("max_time_s", batch, detail) from None

    def _check_outages(self, cells: list[Cell]) -> None:
        outages = [cell for cell in cells if cell.is_outage]
        if outages and len(outages) / len(cells) > self._max_error_rate:
            raise _outage_error(outages, len(cells), self._max_error_rate)


class _OutageWatch:
    """Passes cells on to the observer and gives up a batch in which everything fails."""

    def __init__(self, observer: Observer, size: int) -> None:
        self._observer = observer
        self._size = size
        self._outages: list[Cell] = []
        self._has_success = False

    def __call__(self, cell: Cell) -> None:
        self._observer.cell_done(cell)
        if not cell.is_outage:
            self._has_success = True
        elif not self._has_success:
            self._outages.append(cell)
            if len(self._outages) >= HOPELESS_AFTER:
                raise _outage_error(self._outages, self._size, None)


def _outage_error(outages: list[Cell], size: int, limit: float | None) -> DseError:
    first = min(outages, key=lambda cell: cell.example)
    kinds = sorted({cell.error.kind for cell in outages if cell.error})
    message = first.error.message if first.error else ""
    rule = "and none has one" if limit is None else f"the limit is {percent(limit)}"
    if kinds == ["metric"]:
        of = f"{len(outages)} of {counted(size, 'cell')}"
        return MetricFailedError(
            f"{of} cannot be scored: on {first.example}: {message}", hint=METRIC_HINT
        )
    return InfrastructureError(
        f"{len(outages)} of {counted(size, 'cell')} have no answer ({', '.join(kinds)}), {rule}; "
        f"on {first.example}: {message}",
        hint="an outage is not a wrong answer; finished calls are kept, run again with --resume",
    )
