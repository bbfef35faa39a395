from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.canonical import short
from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.simba.simba import Simba, SimbaConfig
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import answered, make_cell, make_rows, outage, unit
from tests.optimizers.searches import Found, run
from tests.runtime.policies import make_policy

SIMBA = "simba.v1"
SMALL = {"bsize": 4, "num_candidates": 3, "max_steps": 3, "max_demos": 2}
RULES = {**SMALL, "max_demos": 0}
TRAIN = make_rows(12, "train")
AUTHORED = make_policy().instruction

World = Callable[[Policy, str, int], float]


def luck(policy: Policy, row: str, rollout: int) -> float:
    """Samples differ, programs do not."""
    return float(unit(row, rollout, policy.model("main").temperature) > 0.5)


def rules_help(policy: Policy, row: str, rollout: int) -> float:
    """Each rule makes half of what is wrong right."""
    return 1 - 0.5 ** policy.instruction.count("Rule") * unit(row, rollout, policy.id)


def demos_help(policy: Policy, row: str, rollout: int) -> float:
    return 1 - 0.5 ** len(policy.demos) * unit(row, rollout, policy.id)


def says(query: Query) -> Prediction:
    _, step, bucket = query.path.removeprefix("propose/").split("/")
    return answered({"advice": f"Rule {step} {bucket}."})


def junk(query: Query) -> Prediction:
    return answered(None)


def compiled(
    world: World = luck,
    config: dict[str, Any] | None = None,
    reply: Callable[[Query], Prediction] = says,
    **more: Any,
) -> Found:
    def sample(task: CellTask) -> Cell:
        reward = world(task.candidate.main, task.row.id, task.rollout)
        output = {"queue": "billing" if unit(task.row.id, task.rollout) > 0.5 else "other"}
        tokens = 10 + len(task.candidate.main.demos)
        return make_cell(task, reward=reward, output=output, usage=CellUsage(1, 0, tokens, 0, 0))

    config = config or SMALL
    more.setdefault("train", TRAIN)
    more.setdefault("sample", sample)
    return run(SIMBA, {}, lambda policy, row: 0.0, config=config, reply=reply, **more)


def trials(found: Found, kind: str) -> list[Any]:
    return [trial for trial in found.search.log.trials if trial.kind == kind]


def test_the_published_numbers_are_the_defaults() -> None:
    config = SimbaConfig()
    assert (config.bsize, config.num_candidates) == (32, 6)
    assert (config.max_steps, config.max_demos) == (8, 4)
    assert config.temperature_for_sampling == config.temperature_for_candidates == 0.2
    assert config.rollout_temperature == 1.0
    found = compiled(lambda *_: 1.0, {"max_steps": 8}, train=make_rows(300, "train"))
    # val has 3 rows: base and six winners; 32 rows, six samples and seven programs a step
    assert found.plan.metric_calls == 7 * 3 + 8 * 32 * 13
    assert found.plan.candidates == 1 + 8 * 7
    assert found.plan.queries == 8 * 32


def spread(policy: Policy, row: str, rollout: int) -> float:
    """Every row has a sample that is right, and one that is wrong."""
    return (1.0, 0.5, 0.0)[rollout]


def test_the_plan_is_what_a_run_does_when_every_bucket_gives_a_rule() -> None:
    found = compiled(spread, RULES)
    assert found.stopped is None
    assert len(found.entries) == found.plan.candidates == 13
    assert len(found.runner.tasks) == found.plan.metric_calls == 4 * 3 + 3 * (4 * 3 + 4 * 4)


def test_the_plan_is_what_a_run_asks_when_every_answer_is_junk() -> None:
    found = compiled(spread, {**RULES, "bsize": 6}, junk)
    assert len(found.runner.queries) == found.plan.queries == 3 * 6
    assert len({query.path for query in found.runner.queries}) == 18
    assert found.origins == ["base"]
    assert found.stopped is None


def test_each_row_is_sampled_by_all_rollouts_at_the_sampling_temperature() -> None:
    found = compiled(config={**SMALL, "max_steps": 1, "rollout_temperature": 0.7})
    sampled = [task for task in found.runner.tasks if task.candidate.main.model().temperature]
    assert {task.candidate.main.model().temperature for task in sampled} == {0.7}
    per_row = Counter(task.row.id for task in sampled)
    assert len(per_row) == 4
    assert set(per_row.values()) == {3}
    assert {task.rollout for task in sampled} == {0, 1, 2}
    others = [task for task in found.runner.tasks if task not in sampled]
    assert {task.rollout for task in others} == {0}


def test_programs_are_measured_on_the_minibatch_and_winners_on_val() -> None:
    found = compiled(rules_help, RULES)
    assert [trial.rows for trial in trials(found, "minibatch")] == [4] * 12
    assert [trial.note for trial in trials(found, "full")] == [
        "winner of step 3",
        "winner of step 2",
        "winner of step 1",
    ]
    on_val = {task.candidate.id for task in found.runner.tasks if task.row.id.startswith("v")}
    scored = {e.candidate.id for e in found.entries if found.search.archive.mean(e) is not None}
    assert on_val == scored
    assert found.best.candidate.id in scored


def test_the_winner_of_a_step_is_its_best_program() -> None:
    found = compiled(rules_help, RULES)
    for step, full in zip((3, 2, 1), trials(found, "full"), strict=True):
        means = {
            trial.candidate: trial.mean
            for trial in trials(found, "minibatch")
            if trial.choice["step"] == step
        }
        assert means[full.candidate] == max(means.values())


def test_rules_that_help_are_found_and_stand_below_the_instruction() -> None:
    found = compiled(rules_help, {**RULES, "max_steps": 6})
    text = found.best.candidate.main.instruction
    assert text.startswith(f"{AUTHORED}\n\nRule step=")
    assert text.count("Rule") > 1
    assert found.search.archive.mean(found.best) > 0.6  # type: ignore[operator]


def test_demos_that_help_are_found_and_are_answers_of_the_model() -> None:
    found = compiled(demos_help, {**SMALL, "max_steps": 6}, junk)
    demos = found.best.candidate.main.demos
    assert 1 <= len(demos) <= 2
    assert {demo.source for demo in demos} == {"bootstrapped"}
    assert {demo.id for demo in demos} <= {row.id for row in TRAIN}


@pytest.mark.parametrize("seed", range(12))
def test_a_row_never_scores_a_program_that_shows_it(seed: int) -> None:
    # Few rows and many demos; the engine raises when a row scores what shows it.
    config = {"bsize": 3, "num_candidates": 3, "max_steps": 6, "max_demos": 4}
    found = compiled(config=config, train=make_rows(3, "train"), seed=seed)
    shown = {demo.id for e in found.entries for demo in e.candidate.main.demos}
    assert shown
    short = [trial for trial in trials(found, "minibatch") if trial.rows < 3]
    assert short


def test_no_program_shows_more_demos_than_allowed() -> None:
    config = {**SMALL, "max_steps": 8}
    found = compiled(config=config)
    assert max(len(entry.candidate.main.demos) for entry in found.entries) == 2


def test_a_program_that_learned_nothing_is_measured_as_it_is() -> None:
    # Every answer is right: there is no rule to be had, and no demo above the tenth percentile.
    found = compiled(lambda *_: 1.0)
    made = trials(found, "minibatch")
    assert len(made) == 12
    assert {trial.note for trial in made} == {"nothing to learn from this row"}
    assert found.origins == ["base"]
    assert found.runner.queries == []


def test_junk_sends_a_step_on_to_the_next_row() -> None:
    def reply(query: Query) -> Prediction:
        return junk(query) if query.path.endswith("bucket=000") else says(query)

    config = {**RULES, "bsize": 6, "max_steps": 1}
    found = compiled(rules_help, config, reply)
    rows = [trial.choice["row"] for trial in trials(found, "minibatch")]
    outcomes = [record.outcome for record in found.search.log.proposals]
    assert outcomes == ["junk", "used", "used", "used", "used"]
    assert len(set(rows)) == 4
    asked = [query.path for query in found.runner.queries]
    assert asked == [f"propose/simba/step=001/bucket={index:03d}" for index in range(5)]


def test_a_proposer_without_budget_leaves_demos() -> None:
    found = compiled(demos_help, max_lm_calls=2000, proposer_share=0.0)
    assert found.runner.queries == []
    assert {record.outcome for record in found.search.log.proposals} == {"no_budget"}
    assert found.best.candidate.main.demos
    assert found.best.candidate.main.instruction == AUTHORED


def test_rules_and_demos_are_written_down_with_where_they_come_from() -> None:
    found = compiled(config={**SMALL, "max_steps": 5})
    log = found.search.log
    texts = {entry.candidate.id: entry.candidate.main for entry in found.entries}
    used = [record for record in log.proposals if record.outcome == "used"]
    assert used
    for record in used:
        assert texts[record.candidate or ""].instruction.endswith(f"\n\n{record.text}")
    assert log.demo_sets
    assert [record.index for record in log.demo_sets] == list(range(len(log.demo_sets)))
    for built in log.demo_sets:
        assert built.recipe.endswith(f"row {built.demos[-1].id} appended")
        assert built.demos[-1].source == "bootstrapped"
        assert 1 <= built.passed <= built.tried == 3
    known = {entry.candidate.id for entry in found.entries}
    assert {trial.candidate for trial in log.trials} <= known
    assert [trial.number for trial in log.trials] == list(range(len(log.trials)))
    sampled = Counter[int]()
    for trial in trials(found, "trajectories"):
        sampled[trial.choice["step"]] += trial.rows
    assert sampled == dict.fromkeys(range(1, 6), 12)
    for trial in trials(found, "minibatch"):
        assert trial.choice["source"] in {short(name) for name in known}


def test_the_teacher_makes_the_first_sample_of_each_row() -> None:
    found = compiled(teacher="openai/large")
    sampled = [
        task for task in found.runner.tasks if task.candidate.main.model().model != "openai/tiny"
    ]
    assert {task.rollout for task in sampled} == {0}
    assert {task.candidate.main.model().temperature for task in sampled} == {0.0}
    assert len(sampled) == 12
    assert {entry.candidate.main.model().model for entry in found.entries} == {"openai/tiny"}


def test_no_step_is_started_that_could_not_be_selected_from() -> None:
    # base 3; a step 12 + 16 cells; then a winner 3: two steps fit into 3 + 28 + 28 + 6 = 65
    whole = compiled(rules_help, RULES)
    for budget, steps in ((33, 0), (34, 1), (64, 1), (65, 2), (95, 2), (96, 3)):
        found = compiled(rules_help, RULES, max_metric_calls=budget)
        assert len(trials(found, "full")) == steps, budget
        assert (found.stopped is None) == (steps == 3)
        assert len(found.runner.tasks) <= budget
    assert len(whole.runner.tasks) == 96


def test_nothing_is_kept_back_for_a_winner_that_is_measured_already() -> None:
    # Nothing is learned: each step's winner is the base, or one of the same program again.
    whole = compiled(lambda *_: 1.0, RULES)
    assert {trial.candidate for trial in trials(whole, "full")} == {whole.best.candidate.id}
    # 3 for the base and 16 a step; the third may need 28, and its winner 3.
    found = compiled(lambda *_: 1.0, RULES, max_metric_calls=3 + 2 * 16 + 28 + 3)
    assert found.stopped is None


def test_what_is_left_when_a_budget_ends_a_step_goes_to_the_winners() -> None:
    # Each cell may need two calls: the second step does not fit, winners do.
    found = compiled(rules_help, RULES, max_lm_calls=60)
    assert found.stopped is not None
    assert found.stopped.budget == "max_lm_calls"
    assert [trial.note for trial in trials(found, "full")] == ["winner of step 1"]
    assert found.best.candidate.main.instruction != AUTHORED


def test_an_outage_is_no_trajectory() -> None:
    def sample(task: CellTask) -> Cell:
        is_down = task.rollout == 1 or task.row.id == "r003"
        if is_down and not task.row.id.startswith("v"):
            return outage(task)
        return make_cell(task, reward=luck(task.candidate.main, task.row.id, task.rollout))

    found = compiled(sample=sample, config=RULES, max_error_rate=1.0)
    assert found.stopped is None
    asked = {trial.choice["row"] for trial in trials(found, "minibatch")}
    assert asked == {row.id for row in TRAIN} - {"r003"}
    # each of eleven rows has two samples with an answer
    assert sum(trial.rows for trial in trials(found, "trajectories")) == 22


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_completion_decides_nothing(seed: int) -> None:
    plain = compiled(demos_help, seed=seed)
    mixed = compiled(demos_help, seed=seed, shuffle=random.Random(seed))
    assert plain.search.log == mixed.search.log
    assert plain.best == mixed.best
    assert [task.path for task in plain.runner.tasks] == [task.path for task in mixed.runner.tasks]


def test_another_seed_is_another_run() -> None:
    logs = [compiled(demos_help, seed=seed).search.log.trials for seed in (0, 1, 2)]
    assert logs[0] != logs[1] != logs[2] != logs[0]


def test_train_rows_are_needed() -> None:
    with pytest.raises(NothingSelectedError, match="train"):
        compiled(train=[])


def test_a_minibatch_larger_than_train_is_refused_where_it_was_asked_for() -> None:
    [problem] = Simba().problems(SimbaConfig(bsize=13), train=12, val=3)
    assert (problem.setting, problem.hint) == ("bsize", "set bsize to at most 12")
    assert not Simba().problems(SimbaConfig(bsize=12), train=12, val=3)
    assert not Simba().problems(SimbaConfig(), train=12, val=3)


@pytest.mark.parametrize(
    "config",
    [
        {"bsize": 0},
        {"num_candidates": 0},
        {"max_steps": 0},
        {"max_demos": -1},
        {"temperature_for_sampling": 0},
        {"demo_input_field_maxlen": 10},
    ],
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        compiled(config=config)
