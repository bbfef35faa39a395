from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.job import SearchSpace
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import BudgetStopError
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.demos.bootstrap import (
    DemoSetBuild,
    bootstrap,
    fill,
    labelled_demos,
    teacher_policy,
    train_pool,
    with_demos,
)
from dse_cli.optimizers.search import Search
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import FakeRunner, make_cell, make_engine, make_rows, outage
from tests.runtime.policies import make_policy

BASE = make_policy()
TRAIN = make_rows(12, "train")


def make_search(
    cell: Callable[[CellTask], Cell], *, space: dict[str, Any] | None = None, **options: Any
) -> tuple[Search, FakeRunner]:
    runner = FakeRunner(cell)
    base = options.pop("base", BASE)
    teacher = options.pop("teacher", None)
    train = options.pop("train", TRAIN)
    search = Search.start(
        make_engine(runner, **options),
        base,
        train=train,
        val=make_rows(2, prefix="v"),
        space=SearchSpace.model_validate(space or {}),
        seed=3,
        teacher=teacher,
    )
    return search, runner


def rewarding(reward: Callable[[CellTask], float]) -> Callable[[CellTask], Cell]:
    def cell(task: CellTask) -> Cell:
        return make_cell(task, reward=reward(task), output={"queue": "billing"})

    return cell


def build(wanted: int, *, rows: list[Row] | None = None, teacher: Policy = BASE, **more: Any):
    return DemoSetBuild(teacher, TRAIN if rows is None else rows, wanted, **more)


def made(search: Search, *builds: DemoSetBuild) -> None:
    asyncio.run(bootstrap(search, builds, label="bootstrap"))


def number(row: Row) -> int:
    return int(row.id[1:])


def test_what_the_policy_answered_becomes_the_demo_and_not_the_label() -> None:
    search, _ = make_search(rewarding(lambda task: 1.0))
    found = build(2)
    made(search, found)
    assert [demo.to_json() for demo in found.demos()] == [
        {
            "id": row.id,
            "input": row.input,
            "output": {"queue": "billing"},
            "source": "bootstrapped",
        }
        for row in TRAIN[:2]
    ]


@settings(deadline=None, max_examples=80, derandomize=True)
@given(
    st.lists(st.integers(0, 3), min_size=0, max_size=12),
    st.integers(0, 6),
    st.integers(1, 3),
)
def test_the_rows_that_are_run_are_those_of_the_algorithm_that_goes_row_by_row(
    passing_round: list[int], wanted: int, rounds: int
) -> None:
    rows = make_rows(len(passing_round), "train")
    sequential: list[tuple[str, int]] = []
    passed: list[str] = []
    for row, passing in zip(rows, passing_round, strict=True):
        if len(passed) >= wanted:
            break
        for turn in range(rounds):
            sequential.append((row.id, turn))
            if turn >= passing:
                passed.append(row.id)
                break
    search, runner = make_search(
        rewarding(lambda task: float(task.rollout >= passing_round[number(task.row)])), train=rows
    )
    found = build(wanted, rows=rows, max_rounds=rounds)
    made(search, found)
    assert sorted((task.row.id, task.rollout) for task in runner.tasks) == sorted(sequential)
    assert [demo.id for demo in found.demos()] == passed
    assert found.tried == len(sequential)


def test_sets_that_are_made_side_by_side_are_those_that_are_made_alone() -> None:
    world = rewarding(lambda task: float(number(task.row) % 3 == 0))
    together, _ = make_search(world)
    pair = build(2), build(3, rows=TRAIN[::-1])
    made(together, *pair)
    for one in (build(2), build(3, rows=TRAIN[::-1])):
        alone, _ = make_search(world)
        made(alone, one)
        assert one.demos() in [other.demos() for other in pair]
        assert one.tried in [other.tried for other in pair]


def test_a_teacher_does_not_show_the_row_that_it_answers() -> None:
    shown = labelled_demos(BASE, TRAIN, 5, substream(0, "x"))
    teacher = with_demos(BASE, shown)
    search, runner = make_search(rewarding(lambda task: 1.0))
    made(search, build(12, teacher=teacher))
    assert len(runner.tasks) == 12
    ids = {demo.id for demo in shown}
    for task in runner.tasks:
        assert {demo.id for demo in task.candidate.main.demos} == ids - {task.row.id}


@pytest.mark.parametrize(("threshold", "kept"), [(1.0, 1), (0.75, 2), (0.7, 2), (0.1, 4)])
def test_an_answer_passes_when_its_reward_reaches_the_threshold(
    threshold: float, kept: int
) -> None:
    rewards = [0.1 + 0.2 + 0.7, 0.75, 0.5, 0.1]
    search, _ = make_search(rewarding(lambda task: rewards[number(task.row)]))
    found = build(4, rows=TRAIN[:4], threshold=threshold)
    made(search, found)
    assert len(found.demos()) == kept


def test_an_outage_is_no_demo_and_the_next_row_is_looked_at() -> None:
    def cell(task: CellTask) -> Cell:
        down = number(task.row) == 0
        return outage(task) if down else rewarding(lambda task: 1.0)(task)

    search, _ = make_search(cell, max_error_rate=1.0)
    found = build(1)
    made(search, found)
    assert [demo.id for demo in found.demos()] == [TRAIN[1].id]


def test_later_rounds_sample_the_row_again_at_temperature_one() -> None:
    search, runner = make_search(rewarding(lambda task: float(task.rollout == 1)))
    made(search, build(1, rows=TRAIN[:1], max_rounds=3))
    temperatures = [task.candidate.main.sampling().temperature for task in runner.tasks]
    assert temperatures == [0.0, 1.0]
    assert [task.rollout for task in runner.tasks] == [0, 1]


def test_a_chunk_that_does_not_fit_the_budget_is_not_started() -> None:
    search, runner = make_search(rewarding(lambda task: 1.0), max_metric_calls=3)
    with pytest.raises(BudgetStopError):
        made(search, build(4))
    assert runner.tasks == []


def test_the_teacher_is_the_base_on_the_model_of_the_teacher() -> None:
    pinned = make_policy({"model_roles": {"main": {"model": "openai/pinned"}}})
    for base in (BASE, pinned):
        search, _ = make_search(rewarding(lambda task: 1.0), base=base, teacher="openai/big")
        teacher = teacher_policy(search)
        assert teacher.model("main").model == "openai/big"
        assert teacher.instruction == base.instruction
    search, _ = make_search(rewarding(lambda task: 1.0))
    assert teacher_policy(search) is search.base


def test_free_slots_are_filled_with_other_labelled_rows() -> None:
    search, _ = make_search(rewarding(lambda task: 1.0))
    found = build(2)
    made(search, found)
    whole = fill(BASE, found.demos(), TRAIN, 5, substream(1, "fill"))
    assert [demo.source for demo in whole] == ["bootstrapped"] * 2 + ["labelled"] * 3
    assert len({demo.id for demo in whole}) == 5
    assert fill(BASE, found.demos(), TRAIN, 1, substream(1, "fill")) == found.demos()


def test_a_row_whose_label_is_no_output_is_not_shown_with_its_label() -> None:
    odd = Row("odd", {"ticket": "x"}, {"queue": ["billing", "other"]}, "train")
    assert labelled_demos(BASE, [odd, TRAIN[0]], 2, substream(1, "x"))[0].id == TRAIN[0].id


def test_the_pool_is_narrowed_by_tags_and_size_and_stands_in_id_order() -> None:
    tagged = [Row(f"t{i}", {"ticket": str(i)}, {"queue": "other"}, "train", ("a",)) for i in "cba"]
    train = [*TRAIN, *tagged]
    search, _ = make_search(
        rewarding(lambda task: 1.0), train=train, space={"few_shot": {"k_max": 2, "tags": ["a"]}}
    )
    assert [row.id for row in train_pool(search)] == ["ta", "tb", "tc"]
    few = {"few_shot": {"k_max": 2, "pool_size": 4}}
    search, _ = make_search(rewarding(lambda task: 1.0), train=train, space=few)
    pool = [row.id for row in train_pool(search)]
    assert len(pool) == 4
    assert pool == sorted(pool)
    search, _ = make_search(rewarding(lambda task: 1.0), train=train)
    assert len(train_pool(search)) == 15


def test_showing_what_is_shown_anyway_is_the_same_policy() -> None:
    assert with_demos(BASE, ()) is BASE
    shown = labelled_demos(BASE, TRAIN, 2, substream(0, "x"))
    policy = with_demos(BASE, shown)
    assert with_demos(policy, shown) is policy
    assert with_demos(policy, ()).demos == ()
