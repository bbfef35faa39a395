from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.proposals.tips import TIPS
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import answered, make_rows
from tests.optimizers.searches import Found, run
from tests.runtime.policies import make_policy

MIPRO = "mipro_v2.v1"
TRAIN = make_rows(24, "train", prefix="t")
ZERO_SHOT = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}


def proposer(query: Query) -> Prediction:
    """Answers every meta-signature with something of its own."""
    place = query.path.removeprefix("propose/")
    fields = query.policy.signature.output_schema["properties"]
    said: dict[str, Any] = {name: f"{name} of {place}" for name in fields}
    if "complete" in said:
        said["complete"] = False
    return answered(said)


def world(policy: Policy, row: Row) -> float:
    if row.split == "train":
        return float(int(row.id[1:]) % 2)
    return min(1.0, 0.3 + 0.1 * len(policy.demos) + 0.2 * policy.instruction.endswith("002"))


def answer(policy: Policy, row: Row) -> dict[str, Any]:
    return {"queue": "billing"}


def search(**options: Any) -> Found:
    settings: dict[str, Any] = {
        "train": TRAIN, "reply": proposer, "answers": answer, "rows": 60, **options,
    }  # fmt: skip
    return run(MIPRO, settings.pop("space", {}), settings.pop("world", world), **settings)


def test_the_default_program_is_evaluated_first_and_in_full() -> None:
    found = search()
    first = found.search.log.trials[0]
    assert (first.kind, first.rows) == ("base", 60)
    assert found.origins[0] == "base"
    assert [task.row.split for task in found.runner.tasks[:60]] == ["val"] * 60


def test_it_finds_the_instruction_and_the_demos_that_help() -> None:
    best = search(config={"auto": "medium"}).best
    assert best.candidate.main.instruction.endswith("instruction=002")
    assert len(best.candidate.main.demos) == 4


def test_light_makes_six_demo_sets_and_two_proposals_besides_the_authored_instruction() -> None:
    found = search()
    log = found.search.log
    assert [record.recipe for record in log.demo_sets] == [
        "zero-shot", "labelled", "bootstrap", "shuffled 1", "shuffled 2", "shuffled 3",
    ]  # fmt: skip
    asked = Counter(record.meta for record in log.proposals)
    assert asked == {
        "describe_dataset": 3, "summarize_observations": 1,
        "describe_program": 2, "describe_module": 2, "propose_instruction": 2,
    }  # fmt: skip
    trials = Counter(trial.kind for trial in log.trials)
    assert trials == {"base": 1, "minibatch": 10, "full": 2}
    assert found.plan.metric_calls == 10 * 35 + 3 * 60 + 4 * 24
    assert found.plan.queries == 10


def test_a_proposal_is_grounded_in_what_was_found_out_before() -> None:
    found = search()
    asked = [q for q in found.runner.queries if "/instruction=" in q.path]
    for query in asked:
        number = int(query.path[-3:])
        assert query.value["dataset_summary"] == "summary of mipro/summary"
        assert query.value["program_description"].startswith("description of mipro/program=")
        assert query.value["module_description"].startswith("description of mipro/module=")
        assert query.value["basic_instruction"] == "Choose the queue."
        assert query.value["tip"] in TIPS.values()
        assert len(query.value["task_demos"]) == 3
        assert all("billing" in shown for shown in query.value["task_demos"])
        assert query.policy.sampling().temperature == 1.0
        assert number in (1, 2)
    notes = [r.note for r in found.search.log.proposals if r.meta == "propose_instruction"]
    assert all(note.startswith("tip ") for note in notes)
    assert [note.split(", ")[1] for note in notes] == ["demo set 1", "demo set 2"]
    assert len({query.rollout for query in found.runner.queries}) == len(found.runner.queries)


def test_what_the_proposer_is_aware_of_can_be_switched_off() -> None:
    off = {
        "data_aware_proposer": False, "program_aware_proposer": False,
        "fewshot_aware_proposer": False, "tip_aware_proposer": False,
    }  # fmt: skip
    found = search(config=off)
    assert [q.path for q in found.runner.queries] == [
        "propose/mipro/instruction=001", "propose/mipro/instruction=002",
    ]  # fmt: skip
    for query in found.runner.queries:
        assert query.value["task_demos"] == []
        for name in ("dataset_summary", "program", "program_description", "module", "tip"):
            assert query.value[name] == ""


def test_without_demos_to_search_they_ground_the_proposals_and_are_discarded() -> None:
    found = search(config=ZERO_SHOT)
    assert all(not entry.candidate.main.demos for entry in found.entries)
    log = found.search.log
    assert len(log.demo_sets) == 6
    assert max(len(record.demos) for record in log.demo_sets) == 3
    assert Counter(record.meta for record in log.proposals)["propose_instruction"] == 5
    assert all(set(trial.choice or {}) <= {"main.instruction"} for trial in log.trials)
    shown = [q.value["task_demos"] for q in found.runner.queries if "/instruction=" in q.path]
    assert all(len(demos) == 3 for demos in shown)


def test_nothing_is_bootstrapped_when_nobody_would_look_at_it() -> None:
    found = search(config={**ZERO_SHOT, "fewshot_aware_proposer": False})
    assert {task.row.split for task in found.runner.tasks} == {"val"}
    with pytest.raises(ValueError, match="metric_threshold has no effect"):
        search(config={**ZERO_SHOT, "fewshot_aware_proposer": False, "metric_threshold": 0.5})


def test_without_a_usable_proposal_the_search_goes_on_with_the_demos() -> None:
    found = search(reply=lambda query: answered(None))
    assert {record.outcome for record in found.search.log.proposals} == {"junk"}
    assert {entry.candidate.main.instruction for entry in found.entries} == {"Choose the queue."}
    assert len(found.best.candidate.main.demos) == 4


def test_with_nothing_at_all_to_choose_from_only_the_default_program_is_measured() -> None:
    found = search(reply=lambda query: answered(None), config=ZERO_SHOT)
    assert found.origins == ["base"]
    assert len(found.search.log.trials) == 1


def test_a_proposal_that_repeats_another_is_used_once() -> None:
    def same(query: Query) -> Prediction:
        if "/instruction=" in query.path:
            return answered({"instruction": " Always the same. "})
        return proposer(query)

    found = search(reply=same)
    outcomes = [r.outcome for r in found.search.log.proposals if r.meta == "propose_instruction"]
    assert outcomes == ["used", "duplicate"]
    texts = {entry.candidate.main.instruction for entry in found.entries}
    assert texts <= {"Choose the queue.", "Always the same."}


def test_each_used_proposal_names_the_first_candidate_that_was_made_of_it() -> None:
    found = search()
    by_id = {entry.candidate.id: entry.candidate.main for entry in found.entries}
    used = [r for r in found.search.log.proposals if r.meta == "propose_instruction"]
    assert any(record.candidate for record in used)
    for record in used:
        if record.candidate is not None:
            assert by_id[record.candidate].instruction == record.text


def test_an_auto_mode_looks_at_a_drawn_part_of_a_large_val() -> None:
    found = search(rows=130)
    val = [row.id for row in found.search.val]
    assert len(val) == 100
    assert val == sorted(val)
    assert val != [row.id for row in search(rows=130, seed=8).search.val]
    explicit = {"num_candidates": 3, "num_trials": 4}
    assert len(search(rows=130, config=explicit).search.val) == 130


def test_a_small_val_is_evaluated_in_full_each_time() -> None:
    found = search(rows=20)
    assert Counter(trial.kind for trial in found.search.log.trials) == {"base": 1, "full": 10}
    assert found.plan.metric_calls == 11 * 20 + 4 * 24


def test_a_teacher_makes_the_demos_and_never_answers_val() -> None:
    found = search(teacher="openai/big")
    models = {
        (task.row.split, task.candidate.main.model("main").model) for task in found.runner.tasks
    }
    assert models == {("train", "openai/big"), ("val", "openai/tiny")}
    assert found.best.candidate.main.model("main").model == "openai/tiny"


def test_authored_demos_compete_as_the_default_program_only() -> None:
    authored = {"id": "a1", "input": {"ticket": "x"}, "output": {"queue": "other"}}
    base = make_policy(prompt=[{"instruction": "Choose the queue."}, {"few_shot": [authored]}])
    found = search(base=base, rows=10)
    assert [demo.id for demo in found.entries[0].candidate.main.demos] == ["a1"]
    for entry in found.entries[1:]:
        assert "a1" not in [demo.id for demo in entry.candidate.main.demos]


@pytest.mark.parametrize("config", [{}, {"auto": "medium"}, ZERO_SHOT])
def test_a_run_is_the_same_whatever_the_order_of_completion(config: dict[str, Any]) -> None:
    def trail(seed: int, shuffle: random.Random | None = None) -> list[Any]:
        log = search(config=config, seed=seed, shuffle=shuffle).search.log
        return [log.proposals, log.demo_sets, log.trials]

    assert trail(0) == trail(0, random.Random(1)) == trail(0, random.Random(2))
    assert trail(0) != trail(9)


@pytest.mark.parametrize("cap", [59, 60, 70, 100, 150, 300])
def test_a_budget_is_kept_to_the_cell(cap: int) -> None:
    found = search(max_metric_calls=cap)
    assert len(found.runner.tasks) <= cap
    assert found.stopped is not None
    assert (found.search.archive.best() is None) == (cap < 60)


def test_the_share_of_the_proposer_ends_proposals_and_not_the_search() -> None:
    found = search(max_lm_calls=2000, proposer_share=0.0)
    assert found.stopped is None
    assert found.runner.queries == []
    assert {record.outcome for record in found.search.log.proposals} == {"no_budget"}
    assert len(found.best.candidate.main.demos) == 4


def test_a_race_gives_up_a_full_evaluation_that_cannot_catch_up() -> None:
    def worse(policy: Policy, row: Row) -> float:
        if row.split == "train":
            return world(policy, row)
        is_base = not policy.demos and policy.instruction == "Choose the queue."
        return 0.9 if is_base else 0.1

    published = search(world=worse)
    racing = search(world=worse, config={"scheduler": "racing"})
    assert len(racing.runner.tasks) < len(published.runner.tasks)
    assert racing.best.candidate.id == published.best.candidate.id
    rungs = [trial for trial in racing.search.log.trials if trial.kind == "rung"]
    assert any(trial.note.startswith("dropped") for trial in rungs)
    assert all(trial.choice for trial in rungs)


def test_a_race_ends_at_the_same_winner_when_every_trial_is_a_full_evaluation() -> None:
    published = search(rows=40)
    racing = search(rows=40, config={"scheduler": "racing"})
    assert racing.best.candidate.id == published.best.candidate.id
    assert len(racing.runner.tasks) < len(published.runner.tasks)
