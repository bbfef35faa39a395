from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.job import SearchSpace
from dse_cli.evaluation.executor import CellTask
from dse_cli.optimizers.demos.demo_sets import DemoSet, Recipe, make_demo_sets
from dse_cli.optimizers.search import Search
from tests.evaluation.cells import BASE, FakeRunner, make_cell, make_engine, make_rows

TRAIN = make_rows(30, "train")


def recipe(sets: int = 6, boot: int = 4, labelled: int = 4, **more: Any) -> Recipe:
    return Recipe(sets, boot, labelled, 1.0, "mipro_v2", **more)


def make(
    recipe: Recipe, *, passes: Any = lambda task: True, seed: int = 5, **space: Any
) -> tuple[list[DemoSet], Search, FakeRunner]:
    def cell(task: CellTask) -> Cell:
        return make_cell(task, reward=float(passes(task)), output={"queue": "billing"})

    runner = FakeRunner(cell)
    search = Search.start(
        make_engine(runner),
        BASE,
        train=TRAIN,
        val=make_rows(2, prefix="v"),
        space=SearchSpace.model_validate(space),
        seed=seed,
    )
    return asyncio.run(make_demo_sets(search, recipe)), search, runner


def kinds(made: DemoSet) -> tuple[int, int]:
    labelled = sum(demo.source == "labelled" for demo in made.demos)
    return len(made.bootstrapped), labelled


def test_the_sets_are_those_of_the_published_recipe() -> None:
    sets, _, _ = make(recipe())
    assert [made.recipe for made in sets] == [
        "zero-shot", "labelled", "bootstrap", "shuffled 1", "shuffled 2", "shuffled 3",
    ]  # fmt: skip
    assert kinds(sets[0]) == (0, 0)
    assert kinds(sets[1]) == (0, 4)
    assert kinds(sets[2]) == (4, 0)
    assert [demo.id for demo in sets[2].demos] == [row.id for row in TRAIN[:4]]
    for made in sets[3:]:
        boot, labelled = kinds(made)
        assert 1 <= boot <= 4
        assert boot + labelled == 4
        assert len({demo.id for demo in made.demos}) == 4


def test_without_labels_the_second_set_is_a_shuffled_one() -> None:
    sets, _, runner = make(recipe(boot=3, labelled=0))
    assert [made.recipe for made in sets][:3] == ["zero-shot", "shuffled 0", "bootstrap"]
    assert all(kinds(made)[1] == 0 for made in sets)
    assert all(not task.candidate.main.demos for task in runner.tasks)


def test_without_bootstrapping_sets_are_labelled_and_nothing_is_run() -> None:
    sets, _, runner = make(recipe(boot=0))
    assert runner.tasks == []
    assert [kinds(made) for made in sets] == [(0, 0), *[(0, 4)] * 5]
    assert len({tuple(demo.id for demo in made.demos) for made in sets}) == 6


def test_sizes_are_drawn_from_one_to_the_most() -> None:
    sizes = {kinds(made)[0] for made in make(recipe(sets=40))[0][3:]}
    assert sizes == {1, 2, 3, 4}


def test_the_teacher_shows_the_labelled_rows() -> None:
    sets, _, runner = make(recipe(sets=3))
    shown = {demo.id for demo in sets[1].demos}
    assert runner.tasks
    for task in runner.tasks:
        assert {demo.id for demo in task.candidate.main.demos} == shown - {task.row.id}


def test_more_sets_leave_the_first_ones_as_they_are() -> None:
    few, many = make(recipe(sets=5))[0], make(recipe(sets=9))[0]
    assert many[:5] == few


def test_another_seed_makes_other_sets() -> None:
    assert make(recipe(), seed=0)[0] == make(recipe(), seed=0)[0]
    assert make(recipe(), seed=0)[0] != make(recipe(), seed=1)[0]


def test_a_cap_on_demos_holds_for_every_set() -> None:
    sets, _, _ = make(recipe(), few_shot={"k_max": 2})
    assert max(len(made.demos) for made in sets) == 2
    pool, _, _ = make(recipe(), few_shot={"k_max": 4, "pool_size": 5})
    assert len({demo.id for made in pool for demo in made.demos}) <= 5


def test_every_set_is_written_down_with_where_its_demos_come_from() -> None:
    sets, search, runner = make(recipe(), passes=lambda task: int(task.row.id[1:]) % 2)
    records = search.log.demo_sets
    assert [record.index for record in records] == list(range(6))
    for record, made in zip(records, sets, strict=True):
        assert [(shown.source, shown.id) for shown in record.demos] == [
            (demo.source, demo.id) for demo in made.demos
        ]
        assert record.passed == len(made.bootstrapped)
        assert record.tried >= record.passed
    assert records[2].tried > records[2].passed
    assert sum(record.tried for record in records) >= len(runner.tasks)


@pytest.mark.parametrize(("boot", "labelled"), [(4, 4), (3, 0), (0, 4), (2, 8)])
@pytest.mark.parametrize("rounds", [1, 2])
def test_no_more_is_run_than_planned_even_when_nothing_passes(
    boot: int, labelled: int, rounds: int
) -> None:
    made = recipe(boot=boot, labelled=labelled, max_rounds=rounds)
    sets, _, runner = make(made, passes=lambda task: False)
    assert len(runner.tasks) <= made.rollouts_at_most(len(TRAIN))
    if boot:
        assert len(runner.tasks) >= len(TRAIN) * rounds
    assert all(not one.bootstrapped for one in sets)
