"""Rows, candidates and a runner whose cells are functions of candidate and row."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell, CellError, CellUsage
from dse_cli.contracts.job import CompileBudget
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.engine import Engine
from dse_cli.evaluation.executor import CellTask, LocalExecutor
from dse_cli.evaluation.ledger import Bound, Ledger
from dse_cli.evaluation.query import Query
from dse_cli.runtime.prediction import Prediction
from tests.runtime.policies import make_policy

BASE = make_policy()


def make_rows(count: int, split: Any = "val", prefix: str = "r") -> list[Row]:
    return [
        Row(f"{prefix}{index:03d}", {"ticket": f"t{index}"}, {"queue": "other"}, split)
        for index in range(count)
    ]


def make_candidate(text: str) -> Candidate:
    return Candidate.of(BASE.patched({"instruction": {"text": text}}))


def unit(*names: object) -> float:
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return digest[0] / 255


def make_cell(task: CellTask, **changes: Any) -> Cell:
    reward = unit(task.candidate.id, task.row.id, task.rollout)
    values: dict[str, Any] = {
        "candidate": task.candidate.id,
        "example": task.row.id,
        "example_hash": task.row.hash,
        "rollout": task.rollout,
        "reward": reward,
        "usage": CellUsage(1, 0, 7, 3, 100),
        **changes,
    }
    return Cell(**values)


def outage(task: CellTask, kind: str = "provider") -> Cell:
    error = CellError(kind, f"{task.row.id} is down")  # type: ignore[arg-type]
    return make_cell(task, reward=None, error=error)


def answered(output: dict[str, Any] | None, error: CellError | None = None) -> Prediction:
    """A prediction as a proposer gives it."""
    return Prediction(output=output, error=error, usage=CellUsage(1, 0, 7, 3, 100))


def no_reply(query: Query) -> Prediction:
    raise AssertionError(f"nobody was expected to ask {query.path}")


class FakeRunner:
    """Fills cells by a function and keeps what it was asked.

    Args:
        cell: what becomes of a task.
        shuffle: yields to the loop so many times at random that cells end in any order.
        reply: what a question of the search is answered.
    """

    def __init__(
        self,
        cell: Callable[[CellTask], Cell] = make_cell,
        *,
        bound: Bound = Bound(1, 2, 20, 300),  # noqa: B008
        shuffle: random.Random | None = None,
        reply: Callable[[Query], Prediction] = no_reply,
    ) -> None:
        self.tasks: list[CellTask] = []
        self.queries: list[Query] = []
        self._reply = reply
        self.in_flight = self.max_in_flight = 0
        self._cell = cell
        self._bound = bound
        self._shuffle = shuffle

    async def run(self, task: CellTask) -> Cell:
        self.tasks.append(task)
        self.in_flight += 1
        self.max_in_flight = max(self.in_flight, self.max_in_flight)
        try:
            for _ in range(0 if self._shuffle is None else self._shuffle.randrange(6)):
                await asyncio.sleep(0)
            return self._cell(task)
        finally:
            self.in_flight -= 1

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        return self._bound

    async def answer(self, query: Query) -> Prediction:
        self.queries.append(query)
        return self._reply(query)

    def query_bound(self, query: Query) -> Bound:
        return Bound(0, self._bound.lm_calls, self._bound.tokens, self._bound.cost_nano_usd)


class Watcher:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, int]] = []
        self.cells: list[Cell] = []

    def batch_started(self, label: str, cells: int) -> None:
        self.batches.append((label, cells))

    def cell_done(self, cell: Cell) -> None:
        self.cells.append(cell)

    def queries_started(self, label: str, count: int) -> None:
        self.batches.append((label, count))


def make_engine(runner: FakeRunner, *, concurrency: int = 4, **options: Any) -> Engine:
    names = set(CompileBudget.model_fields)
    limits = {key: options.pop(key) for key in list(options) if key in names}
    executor = options.pop("executor", None) or LocalExecutor(runner, concurrency)
    return Engine(executor, runner, Ledger(CompileBudget(**limits)), **options)


def rewards(cells: Sequence[Cell]) -> list[float | None]:
    return [cell.reward for cell in cells]
