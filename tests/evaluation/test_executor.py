from __future__ import annotations

import asyncio
import random

import pytest

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.contracts.evaluation import Cell
from dse_cli.evaluation.executor import CellTask, LocalExecutor
from tests.evaluation.cells import FakeRunner, make_candidate, make_cell, make_rows

CANDIDATE = make_candidate("x")


def tasks(count: int) -> list[CellTask]:
    return [CellTask(CANDIDATE, row, 0, f"p/{row.id}") for row in make_rows(count)]


def run(runner: FakeRunner, count: int, concurrency: int) -> tuple[list[Cell], list[Cell]]:
    seen: list[Cell] = []
    executor = LocalExecutor(runner, concurrency)
    return asyncio.run(executor.run(tasks(count), seen.append)), seen


@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_cells_come_in_the_order_of_the_tasks_whatever_finishes_first(concurrency) -> None:
    runner = FakeRunner(shuffle=random.Random(concurrency))
    cells, seen = run(runner, 20, concurrency)
    assert [cell.example for cell in cells] == [row.id for row in make_rows(20)]
    assert sorted(cell.example for cell in seen) == [row.id for row in make_rows(20)]
    assert runner.max_in_flight <= concurrency
    assert concurrency == 1 or runner.max_in_flight > 1


def test_no_tasks_are_no_cells() -> None:
    assert run(FakeRunner(), 0, 4) == ([], [])


def test_an_error_of_one_cell_ends_the_batch_as_itself_and_cancels_the_rest() -> None:
    def cell(task: CellTask) -> Cell:
        if task.row.id == "r005":
            raise ModelUnavailableError("no key")
        return make_cell(task)

    runner = FakeRunner(cell, shuffle=random.Random(1))
    with pytest.raises(ModelUnavailableError, match="no key"):
        run(runner, 100, 4)
    assert len(runner.tasks) < 100
    assert runner.in_flight == 0


def test_cancelling_a_batch_cancels_its_cells() -> None:
    async def go() -> FakeRunner:
        runner = FakeRunner()
        started = asyncio.Event()

        async def never(task: CellTask) -> Cell:
            runner.in_flight += 1
            started.set()
            try:
                await asyncio.Event().wait()
            finally:
                runner.in_flight -= 1
            raise AssertionError

        runner.run = never  # type: ignore[method-assign]
        job = asyncio.create_task(LocalExecutor(runner, 4).run(tasks(9), lambda _: None))
        await started.wait()
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job
        return runner

    assert asyncio.run(go()).in_flight == 0
