from __future__ import annotations

import random
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import CellError
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.instruction_propose import (
    InstructionPropose,
    InstructionProposeConfig,
)
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import answered, make_rows
from tests.optimizers.searches import Found, run

PROPOSE = "instruction_propose.v1"


def world(policy: Policy, row: Row) -> float:
    """An instruction is worth its number of exclamation marks, in tenths."""
    return min(1.0, policy.instruction.count("!") / 10)


def better(query: Query) -> Prediction:
    """A proposer that adds a mark to what it is shown, and says which question this was."""
    basic = query.value["basic_instruction"]
    place = query.path.removeprefix("propose/instruction_propose/")
    return answered({"instruction": f"{place} {'!' * (basic.count('!') + 1)}"})


def stubborn(query: Query) -> Prediction:
    return answered({"instruction": "Choose the queue."})


def found(reply: Any = better, **options: Any) -> Found:
    return run(PROPOSE, {}, world, reply=reply, **options)


def outcomes(found: Found) -> list[str]:
    return [record.outcome for record in found.search.log.proposals]


def asked(found: Found, round_: int) -> list[Query]:
    return [query for query in found.runner.queries if f"/round={round_:02d}/" in query.path]


def test_each_round_goes_on_from_the_best_so_far() -> None:
    ended = found(config={"breadth": 2, "rounds": 3})

    assert world(ended.best.candidate.main, make_rows(1)[0]) == pytest.approx(0.3)
    assert ended.origins[0] == "base"
    assert ended.origins[-1] == "round 3: instruction 2"
    assert len(ended.entries) == 1 + 3 * 2


def test_a_later_round_is_shown_failures_of_train_rows_and_never_of_val() -> None:
    ended = found(config={"breadth": 1, "rounds": 2}, train=make_rows(4, "train", "t"))

    [query] = asked(ended, 1)
    assert query.policy.signature.id == "@dse/meta/RefineInstruction.v1"
    assert query.value["failures"]
    assert all('input: {"ticket": "t' in shown for shown in query.value["failures"])
    reflected = {task.row.split for task in ended.runner.tasks}
    assert reflected == {"train", "val"}
    assert "v00" not in str(query.value)


def test_the_first_round_has_another_tip_for_each_question_and_shows_train_rows() -> None:
    ended = found(config={"breadth": 3, "rounds": 1, "patience": 1})

    first = asked(ended, 0)
    assert len({query.value["tip"] for query in first}) == 3
    assert all(len(query.value["task_demos"]) == 3 for query in first)
    assert len({query.rollout for query in first}) == 3


def test_attempts_are_shown_with_their_scores_the_best_last() -> None:
    ended = found(config={"breadth": 3, "rounds": 2})

    shown = asked(ended, 1)[0].value["attempts"]
    scores = [float(attempt.split(":")[0]) for attempt in shown]
    assert scores == sorted(scores)
    assert scores[0] == 0.0  # the base


def test_rounds_without_a_gain_end_the_search_after_patience() -> None:
    ended = found(stubborn, config={"breadth": 2, "rounds": 9, "patience": 2})

    assert len(ended.runner.queries) == 4
    assert ended.origins == ["base"]


def test_duplicates_are_counted_and_cost_no_evaluation() -> None:
    ended = found(stubborn, config={"breadth": 2, "rounds": 1, "patience": 1})

    assert outcomes(ended) == ["duplicate", "duplicate"]
    assert [task.row.split for task in ended.runner.tasks] == ["val"] * 3


def test_a_search_without_any_usable_proposal_ends_with_the_base() -> None:
    junk = answered(None, CellError("decode", "not one JSON value"))
    ended = found(lambda query: junk, config={"rounds": 2, "patience": 2})

    assert ended.best.origin == "base"
    assert set(outcomes(ended)) == {"junk"}


def test_some_junk_does_not_end_the_search() -> None:
    def reply(query: Query) -> Prediction:
        return better(query) if query.path.endswith("=000") else answered({"instruction": " "})

    ended = found(reply, config={"breadth": 2, "rounds": 2})

    assert outcomes(ended) == ["used", "junk", "used", "junk"]
    assert world(ended.best.candidate.main, make_rows(1)[0]) == pytest.approx(0.2)


def test_a_perfect_base_asks_nothing() -> None:
    ended = run(PROPOSE, {}, lambda policy, row: 1.0)

    assert ended.runner.queries == []
    assert ended.origins == ["base"]


def test_without_train_rows_later_rounds_propose_again() -> None:
    ended = found(train=[], config={"breadth": 1, "rounds": 2})

    [query] = asked(ended, 1)
    assert query.policy.signature.id == "@dse/meta/ProposeInstructions.v1"
    assert query.value["previous_instructions"] == ["Choose the queue."]
    assert query.value["task_demos"] == []


def test_proposals_name_the_candidates_that_were_made_of_them() -> None:
    ended = found(config={"breadth": 2, "rounds": 2})

    made = [record.candidate for record in ended.search.log.proposals]
    assert made == [entry.candidate.id for entry in ended.entries[1:]]


def test_every_full_evaluation_is_a_trial_also_under_a_scheduler() -> None:
    def kinds(**config: Any) -> dict[str, int]:
        ended = found(config={"breadth": 4, "rounds": 2, **config}, rows=16)
        full = [trial for trial in ended.search.log.trials if trial.kind == "full"]
        assert len({trial.candidate for trial in full}) == len(full)
        scored = [e for e in ended.entries[1:] if ended.search.archive.mean(e) is not None]
        assert len(full) == len(scored)
        return {trial.kind: 1 for trial in ended.search.log.trials}

    assert kinds().keys() == {"base", "full", "reflection"}
    assert "rung" in kinds(scheduler="successive_halving")


def test_a_budget_stop_in_the_middle_leaves_what_was_evaluated() -> None:
    ended = found(config={"breadth": 3, "rounds": 3}, max_metric_calls=8)

    assert ended.stopped is not None
    assert ended.best.origin == "round 1: instruction 1"


def test_an_empty_share_of_the_budget_is_survived() -> None:
    ended = found(max_lm_calls=100, proposer_share=0.0, config={"rounds": 1, "patience": 1})

    assert set(outcomes(ended)) == {"no_budget"}
    assert ended.origins == ["base"]


def test_a_share_that_is_used_up_ends_the_rounds_and_pays_for_no_reflection() -> None:
    ended = found(max_lm_calls=100, proposer_share=0.0, config={"rounds": 3, "patience": 3})

    assert [trial.kind for trial in ended.search.log.trials] == ["base"]
    assert ended.stopped is None


def test_no_order_of_completion_changes_a_search_and_another_seed_does() -> None:
    def ran(shuffle: int | None, seed: int = 7) -> list[Any]:
        order = None if shuffle is None else random.Random(shuffle)
        ended = found(seed=seed, shuffle=order, train=make_rows(30, "train", "t"))
        questions = [(query.path, query.rollout, str(query.value)) for query in
                     sorted(ended.runner.queries, key=lambda query: query.path)]  # fmt: skip
        return [ended.search.log.proposals, ended.search.log.trials, questions]

    first = ran(None)
    assert ran(1) == first
    assert ran(2) == first
    assert ran(None, seed=8) != first


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        ({"rounds": 2, "patience": 3}, "patience"),
        ({"failures": 9, "reflection_rows": 8}, "failures"),
    ],
)
def test_settings_without_an_effect_are_refused(config: dict[str, Any], setting: str) -> None:
    parsed = InstructionProposeConfig.model_validate(config)

    [problem] = InstructionPropose().problems(parsed, train=9, val=9)
    assert problem.setting == setting


@pytest.mark.parametrize("config", [{"rounds": 1}, {"reflection_rows": 3}])
def test_a_default_that_is_more_than_a_setting_allows_does_no_harm(config: dict[str, Any]) -> None:
    parsed = InstructionProposeConfig.model_validate(config)

    assert InstructionPropose().problems(parsed, train=9, val=9) == []
    assert len(found(config=config).search.archive) > 1
