from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.job import SearchSpace
from dse_cli.contracts.prompt_ir import Demo
from dse_cli.contracts.search_record import TrialRecord
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import BudgetStopError
from dse_cli.optimizers.mipro.config import MiproV2Config
from dse_cli.optimizers.mipro.mipro_v2 import schedule_of
from dse_cli.optimizers.mipro.schedule import Schedule
from dse_cli.optimizers.mipro.space import ComponentChoices, compose
from dse_cli.optimizers.mipro.trials import MiproSearch
from dse_cli.optimizers.search import Search
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import BASE, FakeRunner, make_cell, make_engine, make_rows
from tests.optimizers.mipro.test_config import FEW_SHOT_TABLE
from tests.runtime.policies import make_policy


def demo_sets(count: int) -> list[tuple[Demo, ...]]:
    return [
        tuple(
            Demo(id=f"d{size}-{i}", input={"ticket": "t"}, output={"queue": "other"},
                 source="bootstrapped")
            for i in range(size)
        )
        for size in range(count)
    ]  # fmt: skip


def choices_of(
    names: list[str], instructions: int, sets: int | None
) -> dict[str, ComponentChoices]:
    return {
        name: ComponentChoices(
            [BASE.instruction, *(f"{name} says {i}" for i in range(1, instructions))],
            None if sets is None else demo_sets(sets),
        )
        for name in names
    }


class Trials:
    """A search over made-up components, and what it did."""

    def __init__(
        self,
        schedule: Schedule,
        *,
        val: int,
        names: list[str] | None = None,
        instructions: int = 3,
        sets: int | None = 6,
        reward: Callable[[CellTask], float | None] | None = None,
        seed: int = 0,
        shuffle: random.Random | None = None,
        base: Policy = BASE,
        **options: Any,
    ) -> None:
        def cell(task: CellTask) -> Cell:
            return make_cell(task) if reward is None else make_cell(task, reward=reward(task))

        names = names or ["main"]
        self.runner = FakeRunner(cell, shuffle=shuffle)
        self.rows = make_rows(val, prefix="v")
        self.search = Search.start(
            make_engine(self.runner, **options),
            base,
            train=[],
            val=self.rows,
            space=SearchSpace(),
            seed=seed,
        )
        self.choices = choices_of(names, instructions, sets)
        self.base = Candidate(dict.fromkeys(names, base))
        self.schedule = schedule
        self.stopped: BudgetStopError | None = None
        asyncio.run(self._go())

    async def _go(self) -> None:
        search = self.search
        entry = search.archive.add(self.base, "base", None)
        await search.engine.evaluate(self.base, self.rows)
        search.log.trial("base", entry, rows=len(self.rows), mean=search.archive.mean(entry))
        trials = MiproSearch(search, entry, self.choices, self.schedule, stream="mipro_v2")
        try:
            await trials.run()
        except BudgetStopError as stopped:
            self.stopped = stopped

    @property
    def log(self) -> list[TrialRecord]:
        return self.search.log.trials

    def kind(self, name: str) -> list[TrialRecord]:
        return [trial for trial in self.log if trial.kind == name]


@pytest.mark.parametrize(
    ("components", "auto", "val", "trials", "full", "calls"),
    [row for row in FEW_SHOT_TABLE if row[1] != "heavy"],
)
def test_a_run_over_one_two_or_four_components_does_what_the_published_table_counts(
    components: int, auto: str, val: int, trials: int, full: int, calls: int
) -> None:
    config = MiproV2Config.model_validate({"auto": auto})
    names = ["main", "plan", "write", "check"][:components]
    found = Trials(
        schedule_of(config, components=components, val=val),
        val=val,
        names=names,
        instructions=config.instructions,
        sets=config.candidates,
    )
    assert len(found.kind("minibatch")) == trials
    # A combination that wins twice needs no second full evaluation, so there may be fewer.
    done = len(found.kind("base")) + len(found.kind("full"))
    assert done == full
    assert sum(trial.rows for trial in found.log) == calls
    assert len(found.runner.tasks) <= calls


def test_cells_that_are_known_are_not_run_again() -> None:
    found = Trials(Schedule(10, 35, 5), val=100)
    wanted = sum(trial.rows for trial in found.log)
    assert len(found.runner.tasks) < wanted
    cells = Counter((task.candidate.id, task.row.id) for task in found.runner.tasks)
    assert set(cells.values()) == {1}


def test_full_evaluations_come_after_so_many_trials_and_at_the_end() -> None:
    kinds = [trial.kind[0] for trial in Trials(Schedule(12, 4, 5), val=20).log]
    assert "".join(kinds) == "bmmmmmfmmmmmfmmf"
    kinds = [trial.kind[0] for trial in Trials(Schedule(10, 4, 5), val=20).log]
    assert "".join(kinds) == "bmmmmmfmmmmmf"


def test_the_best_mean_that_is_not_fully_evaluated_yet_is_evaluated() -> None:
    found = Trials(Schedule(23, 6, 5), val=20)
    means: dict[str, list[float]] = {}
    done = {found.base.id}
    for trial in found.log:
        if trial.kind == "minibatch":
            assert trial.mean is not None
            means.setdefault(trial.candidate, []).append(trial.mean)
        if trial.kind == "full":
            waiting = {k: sum(v) / len(v) for k, v in means.items() if k not in done}
            assert waiting[trial.candidate] == pytest.approx(max(waiting.values()))
            done.add(trial.candidate)


def test_without_minibatches_every_trial_is_a_full_evaluation() -> None:
    found = Trials(Schedule(7, None, 5), val=9)
    assert [trial.kind for trial in found.log] == ["base", *["full"] * 7]
    assert all(found.search.archive.mean(entry) is not None for entry in found.search.archive)


def test_the_best_fully_evaluated_wins_and_never_a_lucky_minibatch() -> None:
    lucky = "main says 1"

    def reward(task: CellTask) -> float:
        # On some rows it is perfect, on the rest it fails.
        if task.candidate.main.instruction == lucky:
            return float(int(task.row.id[1:]) % 3 == 0)
        return 0.6

    found = Trials(Schedule(10, 3, 5), val=30, reward=reward)
    best = found.search.archive.best()
    assert best is not None
    assert best.candidate.main.instruction != lucky
    assert found.search.archive.mean(best) == pytest.approx(0.6)


def test_the_surrogate_finds_the_combination_that_is_best() -> None:
    def reward(task: CellTask) -> float:
        policy = task.candidate.main
        return 0.2 + 0.4 * (policy.instruction == "main says 2") + 0.08 * len(policy.demos)

    hits = 0
    for seed in range(5):
        found = Trials(Schedule(25, 5, 5), val=20, reward=reward, seed=seed)
        best = found.search.archive.best()
        assert best is not None
        hits += best.origin == "instruction=2,demos=5"
    assert hits >= 4


def test_choices_are_recorded_by_component() -> None:
    found = Trials(Schedule(3, None, 5), val=3, names=["main", "plan"])
    for trial in found.kind("full"):
        assert trial.choice is not None
        assert list(trial.choice) == [
            "main.instruction", "main.demos", "plan.instruction", "plan.demos",
        ]  # fmt: skip
        made = compose(found.base, found.choices, trial.choice)
        assert made.id == trial.candidate
        assert set(made.components) == {"main", "plan"}


def test_a_component_keeps_its_own_demos_when_none_are_searched() -> None:
    authored = {"id": "a1", "input": {"ticket": "x"}, "output": {"queue": "other"}}
    base = make_policy(prompt=[{"instruction": "Choose the queue."}, {"few_shot": [authored]}])
    found = Trials(Schedule(4, None, 5), val=3, sets=None, base=base)
    for entry in found.search.archive:
        assert [demo.id for demo in entry.candidate.main.demos] == ["a1"]


def test_the_first_choices_are_the_default_program_and_it_is_not_run_twice() -> None:
    found = Trials(Schedule(1, None, 5), val=3)
    first = compose(found.base, found.choices, {"main.instruction": 0, "main.demos": 0})
    assert first.id == found.base.id


def test_every_seed_is_a_run_of_its_own_and_zero_is_a_seed() -> None:
    def trail(seed: int, shuffle: random.Random | None = None) -> list[TrialRecord]:
        return Trials(Schedule(12, 5, 5), val=20, seed=seed, shuffle=shuffle).log

    assert trail(0) == trail(0)
    assert trail(0) == trail(0, random.Random(4))
    assert trail(0) != trail(9)
    assert trail(0) != trail(1)


def test_a_trial_of_which_nothing_is_known_does_not_count() -> None:
    found = Trials(
        Schedule(6, 2, 3),
        val=6,
        reward=lambda task: None if task.candidate.main.demos else 0.5,
    )
    for trial in found.kind("full"):
        assert trial.mean is not None


def test_minibatches_are_drawn_anew_and_have_their_size() -> None:
    found = Trials(Schedule(8, 5, 4), val=20)
    search = MiproSearch(
        found.search, next(iter(found.search.archive)), found.choices, found.schedule, stream="m"
    )
    drawn = [tuple(row.id for row in search._minibatch(number)) for number in range(1, 20)]
    assert {len(set(rows)) for rows in drawn} == {5}
    assert len(set(drawn)) > 15


#: Of each limit, what one cell of the made-up runner may need.
NEEDED = {"max_metric_calls": 1, "max_lm_calls": 2, "max_tokens": 20}


@pytest.mark.parametrize("limit", list(NEEDED))
@pytest.mark.parametrize("cap", range(47, 90, 6))
def test_a_budget_that_ends_in_the_middle_does_not_end_on_minibatches(limit: str, cap: int) -> None:
    options: dict[str, Any] = {limit: cap * NEEDED[limit]}
    found = Trials(Schedule(80, 5, 80), val=20, **options)
    assert found.stopped is not None
    assert getattr(found.search.engine.ledger, limit.removeprefix("max_")) <= cap * NEEDED[limit]
    means = {trial.candidate: trial.mean for trial in found.kind("minibatch")}
    assert {trial.candidate for trial in found.kind("full")} & means.keys()


def test_a_budget_that_covers_the_schedule_changes_nothing() -> None:
    schedule = Schedule(12, 5, 5)
    limited = Trials(schedule, val=20, max_metric_calls=schedule.metric_calls(20))
    assert limited.log == Trials(schedule, val=20).log
