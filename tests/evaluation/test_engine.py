from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dse_cli.contracts.errors import ExitCode, InfrastructureError, MetricFailedError
from dse_cli.contracts.evaluation import Cell, CellError, CellUsage
from dse_cli.evaluation.engine import HOPELESS_AFTER, Engine
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import Bound, BudgetStopError
from tests.evaluation.cells import (
    FakeRunner,
    Watcher,
    make_candidate,
    make_cell,
    make_engine,
    make_rows,
    outage,
    rewards,
)
from tests.lm.calls import FakeTime

ROWS = make_rows(10)
ONE, TWO = make_candidate("one"), make_candidate("two")


def evaluate(engine: Engine, *args: Any, **options: Any) -> list[Cell]:
    return asyncio.run(engine.evaluate(*args, **options))


# --- filling the matrix -------------------------------------------------------------------------


def test_a_cell_is_filled_once_however_often_it_is_asked_for() -> None:
    runner = FakeRunner()
    engine = make_engine(runner)
    few = evaluate(engine, ONE, ROWS[:4])
    many = evaluate(engine, ONE, [*ROWS, *ROWS])
    again = evaluate(engine, ONE, ROWS[::-1])
    assert len(runner.tasks) == 10
    assert engine.ledger.metric_calls == 10
    assert many[:4] == few
    assert many[10:] == many[:10]
    assert again == many[:10][::-1]


def test_candidates_and_rollouts_have_cells_of_their_own() -> None:
    runner = FakeRunner()
    engine = make_engine(runner)
    cells = evaluate(engine, ONE, ROWS[:2], rollouts=2)
    evaluate(engine, TWO, ROWS[:2])
    assert [(cell.example, cell.rollout) for cell in cells] == [
        ("r000", 0), ("r000", 1), ("r001", 0), ("r001", 1),
    ]  # fmt: skip
    assert len(runner.tasks) == len(engine.matrix) == 6


def test_every_cell_has_a_logical_path_that_counts_candidates_in_the_order_of_the_search() -> None:
    runner = FakeRunner()
    engine = make_engine(runner, concurrency=1)
    evaluate(engine, ONE, ROWS[:1], rollouts=2)
    evaluate(engine, TWO, ROWS[:1])
    evaluate(engine, ONE, ROWS[1:2])
    first, second = ROWS[0].hash[7:19], ROWS[1].hash[7:19]
    assert [task.path for task in runner.tasks] == [
        f"cand=0000/ex={first}/rollout=0",
        f"cand=0000/ex={first}/rollout=1",
        f"cand=0001/ex={first}/rollout=0",
        f"cand=0000/ex={second}/rollout=0",
    ]


def search(concurrency: int, shuffle: random.Random | None) -> tuple[list[Cell], dict[str, Any]]:
    runner = FakeRunner(shuffle=shuffle)
    engine = make_engine(runner, concurrency=concurrency)

    async def go() -> None:
        await engine.evaluate(ONE, ROWS)
        await engine.evaluate_many(
            [(c, row, r) for r in (0, 1) for c in (TWO, ONE) for row in ROWS]
        )

    asyncio.run(go())
    return list(engine.matrix), engine.ledger.to_json()


def test_the_matrix_is_the_same_at_any_concurrency_and_in_any_order_of_completion() -> None:
    expected = search(1, None)
    assert len(expected[0]) == 40
    for concurrency in (1, 8, 32):
        for seed in range(4):
            assert search(concurrency, random.Random(seed)) == expected


def test_an_observer_sees_every_batch_and_every_cell_and_none_twice() -> None:
    watcher = Watcher()
    engine = make_engine(FakeRunner(shuffle=random.Random(3)), observer=watcher)
    evaluate(engine, ONE, ROWS[:6], label="first")
    evaluate(engine, ONE, ROWS, label="second")
    evaluate(engine, ONE, ROWS, label="third")
    assert watcher.batches == [("first", 6), ("second", 4)]
    assert sorted(cell.example for cell in watcher.cells) == [row.id for row in ROWS]


# --- budgets ------------------------------------------------------------------------------------


def passes(engine: Engine, count: int) -> BudgetStopError | None:
    """Evaluate ``count`` candidates on all rows until a budget stops it."""

    async def go() -> BudgetStopError | None:
        for number in range(count):
            try:
                await engine.evaluate(make_candidate(f"c{number}"), ROWS)
            except BudgetStopError as stopped:
                return stopped
        return None

    return asyncio.run(go())


@pytest.mark.parametrize("cap", [1, 9, 10, 11, 19, 20, 25, 30, 31])
def test_no_cap_on_metric_calls_is_ever_passed_and_no_batch_is_half_filled(cap: int) -> None:
    runner = FakeRunner()
    engine = make_engine(runner, max_metric_calls=cap)
    stopped = passes(engine, 3)
    assert len(runner.tasks) == engine.ledger.metric_calls == min(cap, 30) // 10 * 10
    if cap < 30:
        assert stopped is not None
        assert (stopped.budget, stopped.batch) == ("max_metric_calls", cap // 10)
    else:
        assert stopped is None


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("cap", [1, 19, 20, 21, 39, 40, 59])
def test_no_cap_on_calls_is_ever_passed_whatever_the_cells_use_of_their_bound(cap, calls) -> None:
    runner = FakeRunner(lambda task: make_cell(task, usage=CellUsage(calls, 0, 1, 1, 0)))
    engine = make_engine(runner, max_lm_calls=cap)
    passes(engine, 3)
    assert engine.ledger.lm_calls <= cap
    assert len(runner.tasks) % 10 == 0


@pytest.mark.parametrize("limit", [{"max_tokens": 450}, {"max_cost_usd": 0.0000055}])
def test_tokens_and_money_are_checked_before_the_work(limit) -> None:
    runner = FakeRunner()
    engine = make_engine(runner, **limit)
    stopped = passes(engine, 5)
    assert stopped is not None
    assert stopped.budget in limit
    # A batch may need 200 tokens and 3000 nano-dollars, and uses 100 and 1000.
    assert len(runner.tasks) == 30
    assert engine.ledger.tokens == 300


def test_cells_that_are_there_already_cost_nothing() -> None:
    engine = make_engine(FakeRunner(), max_metric_calls=10)
    evaluate(engine, ONE, ROWS)
    assert evaluate(engine, ONE, ROWS[:3])
    with pytest.raises(BudgetStopError):
        evaluate(engine, ONE, ROWS, rollouts=2)


def test_a_refused_batch_tells_the_observer_nothing() -> None:
    watcher = Watcher()
    engine = make_engine(FakeRunner(), observer=watcher, max_metric_calls=5)
    with pytest.raises(BudgetStopError):
        evaluate(engine, ONE, ROWS)
    assert watcher.batches == []
    assert len(engine.matrix) == 0


# --- outages ------------------------------------------------------------------------------------


def failing(*names: str, kind: str = "provider") -> Callable[[CellTask], Cell]:
    return lambda task: outage(task, kind) if task.row.id in names else make_cell(task)


@pytest.mark.parametrize("kind", ["provider", "timeout", "budget", "tool", "metric"])
def test_an_outage_is_not_scored_and_within_the_limit_the_run_goes_on(kind) -> None:
    engine = make_engine(FakeRunner(failing("r003", kind=kind)), max_error_rate=0.1)
    cells = evaluate(engine, ONE, ROWS)
    assert rewards(cells)[3] is None
    assert engine.matrix.mean(ONE.id, ROWS) == pytest.approx(
        sum(cell.reward or 0 for cell in cells) / 9
    )


def test_more_outages_than_the_limit_end_the_run_and_name_the_first_row() -> None:
    engine = make_engine(FakeRunner(failing("r003", "r007")), max_error_rate=0.1)
    with pytest.raises(InfrastructureError) as stopped:
        evaluate(engine, ONE, ROWS)
    assert "2 of 10" in stopped.value.message
    assert "r003 is down" in stopped.value.message
    assert "--resume" in (stopped.value.hint or "")


def test_a_metric_that_fails_is_a_mistake_that_trying_again_does_not_mend() -> None:
    failed = failing("r003", "r007", kind="metric")
    for limit in (0.1, 1.0):
        rows = ROWS if limit < 1 else make_rows(8)
        runner = FakeRunner(failed if limit < 1 else lambda task: outage(task, kind="metric"))
        with pytest.raises(MetricFailedError, match="cannot be scored: on r00") as stopped:
            evaluate(make_engine(runner, max_error_rate=limit), ONE, rows)
        assert stopped.value.exit_code == ExitCode.USAGE
        assert "trying again does not help" in (stopped.value.hint or "")
        assert "--resume" not in (stopped.value.hint or "")


def test_metric_errors_among_outages_are_an_outage() -> None:
    def cell(task: CellTask) -> Cell:
        kind = {"r003": "metric", "r007": "provider"}.get(task.row.id)
        return make_cell(task) if kind is None else outage(task, kind=kind)

    with pytest.raises(InfrastructureError, match="metric, provider"):
        evaluate(make_engine(FakeRunner(cell), max_error_rate=0.1), ONE, ROWS)


def test_a_decode_failure_scores_and_is_no_outage() -> None:
    def cell(task: CellTask) -> Cell:
        return make_cell(task, reward=0.0, error=CellError("decode", "no JSON"))

    engine = make_engine(FakeRunner(cell))
    assert rewards(evaluate(engine, ONE, ROWS)) == [0.0] * 10


def test_a_batch_in_which_everything_fails_is_given_up_early() -> None:
    runner = FakeRunner(outage)
    engine = make_engine(runner, max_error_rate=1.0, concurrency=2)
    with pytest.raises(InfrastructureError, match="none has one"):
        evaluate(engine, ONE, make_rows(100))
    assert HOPELESS_AFTER <= len(runner.tasks) <= HOPELESS_AFTER + 2


def test_one_success_among_them_lets_a_batch_end() -> None:
    runner = FakeRunner(lambda task: make_cell(task) if task.row.id == "r000" else outage(task))
    engine = make_engine(runner, max_error_rate=1.0, concurrency=1)
    evaluate(engine, ONE, make_rows(100))
    assert len(runner.tasks) == 100


# --- time ---------------------------------------------------------------------------------------


class Hanging:
    """An executor that never ends its ``hang_at``-th batch."""

    def __init__(self, runner: FakeRunner, hang_at: int) -> None:
        self._runner, self._left = runner, hang_at

    async def run(self, tasks: Sequence[CellTask], on_cell: Callable[[Cell], None]) -> list[Cell]:
        self._left -= 1
        cells = [await self._runner.run(task) for task in tasks]
        if self._left < 0:
            await asyncio.Event().wait()
        for cell in cells:
            on_cell(cell)
        return cells


def test_a_time_stop_undoes_the_batch_and_is_recorded_by_its_number() -> None:
    undone: list[list[str]] = []
    runner, time = FakeRunner(), FakeTime()
    engine = make_engine(
        runner, executor=Hanging(runner, 1), max_time_s=0.01, roll_back=undone.append,
        clock=time.clock,
    )  # fmt: skip
    evaluate(engine, ONE, ROWS)
    with pytest.raises(BudgetStopError) as stopped:
        evaluate(engine, TWO, ROWS)
    assert (stopped.value.budget, stopped.value.batch) == ("max_time_s", 1)
    assert len(engine.matrix) == engine.ledger.metric_calls == 10
    assert undone == [[task.path for task in runner.tasks[10:]]]
    assert all(path.startswith("cand=0001/") for path in undone[0])


def test_no_batch_starts_when_time_is_up() -> None:
    runner, time = FakeRunner(), FakeTime()
    engine = make_engine(runner, max_time_s=5.0, clock=time.clock)
    evaluate(engine, ONE, ROWS)
    time.now = 5.0
    with pytest.raises(BudgetStopError) as stopped:
        evaluate(engine, TWO, ROWS)
    assert (stopped.value.budget, stopped.value.batch) == ("max_time_s", 1)
    assert len(runner.tasks) == 10
    assert evaluate(engine, ONE, ROWS)


def test_a_replay_obeys_the_recorded_stop_and_no_clock() -> None:
    time = FakeTime()
    engine = make_engine(FakeRunner(), max_time_s=5.0, stop_at=2, clock=time.clock)
    evaluate(engine, ONE, ROWS)
    time.now = 1e9
    evaluate(engine, TWO, ROWS)
    evaluate(engine, TWO, ROWS)
    with pytest.raises(BudgetStopError) as stopped:
        evaluate(engine, make_candidate("three"), ROWS)
    assert (stopped.value.budget, stopped.value.batch) == ("max_time_s", 2)


def test_a_timeout_that_is_not_the_runs_own_is_not_taken_for_a_time_stop() -> None:
    def cell(task: CellTask) -> Cell:
        raise TimeoutError("of somebody else")

    engine = make_engine(FakeRunner(cell), max_time_s=60.0)
    with pytest.raises(TimeoutError, match="somebody else"):
        evaluate(engine, ONE, ROWS)


def test_a_batch_that_was_interrupted_leaves_the_matrix_as_it_was() -> None:
    def cell(task: CellTask) -> Cell:
        if task.row.id == "r004":
            raise KeyboardInterrupt
        return make_cell(task)

    engine = make_engine(FakeRunner(cell), concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(engine, ONE, ROWS)
    assert len(engine.matrix) == 0
    assert engine.ledger.metric_calls == 0


def test_the_bound_of_a_batch_is_the_sum_over_its_missing_cells() -> None:
    runner = FakeRunner(bound=Bound(1, 3, 5, 7))
    engine = make_engine(runner, max_lm_calls=30)
    assert evaluate(engine, ONE, ROWS)
    assert engine.bound(ONE, ROWS[0]) == Bound(1, 3, 5, 7)
    assert replace(Bound(), lm_calls=3).lm_calls == 3
