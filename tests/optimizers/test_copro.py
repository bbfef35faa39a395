from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.dataset import Row
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.copro import CoproConfig
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import answered
from tests.optimizers.searches import Found, run
from tests.runtime.policies import make_policy

COPRO = "copro.v1"
SMALL = {"breadth": 3, "depth": 3}
AUTHORED = "Choose the queue."


def place(query: Query) -> str:
    """``0-2``: depth and number of a question."""
    depth, number = query.path.split("/")[2:]
    return f"{int(depth.removeprefix('depth='))}-{int(number.removeprefix('instruction='))}"


def says(query: Query) -> Prediction:
    return answered({"instruction": f"Idea {place(query)}."})


def worth(**points: float) -> Callable[[Policy, Row], float]:
    """A world of what ideas are worth (``i0_1`` is idea 0-1); the authored text is worth 0.3."""
    rewards = {f"Idea {key[1:].replace('_', '-')}.": value for key, value in points.items()}
    rewards.setdefault(AUTHORED, 0.3)
    return lambda policy, row: rewards.get(policy.instruction, 0.1)


def compiled(
    world: Callable[[Policy, Row], float] = worth(),  # noqa: B008
    reply: Callable[[Query], Prediction] = says,
    config: dict[str, Any] | None = None,
    **more: Any,
) -> Found:
    return run(COPRO, {}, world, reply=reply, config=config or SMALL, **more)


def shown(found: Found, depth: int) -> list[str]:
    """What the first question of a depth shows."""
    queries = [query for query in found.runner.queries if f"depth={depth:02d}/" in query.path]
    attempts = queries[0].value["attempts"]
    assert all(query.value["attempts"] == attempts for query in queries)
    return list(attempts)


def test_the_authored_instruction_is_the_last_of_the_first_breadth() -> None:
    found = compiled()
    asked = [query.path for query in found.runner.queries]
    assert [path for path in asked if "depth=00" in path] == [
        "propose/copro/depth=00/instruction=000",
        "propose/copro/depth=00/instruction=001",
    ]
    assert sum("depth=01" in path for path in asked) == 3
    assert sum("depth=02" in path for path in asked) == 3
    assert found.origins[0] == "base"
    assert (
        found.origins[1:] == ["copro:depth 0"] * 2 + ["copro:depth 1"] * 3 + ["copro:depth 2"] * 3
    )


def test_the_published_numbers_are_the_defaults() -> None:
    config = CoproConfig()
    assert (config.breadth, config.depth, config.init_temperature) == (10, 3, 1.4)
    found = compiled(config={"breadth": 10, "depth": 3, "init_temperature": 1.4})
    assert (found.plan.candidates, found.plan.queries, found.plan.metric_calls) == (30, 29, 90)
    assert len(found.entries) == 30
    assert len(found.runner.queries) == 29
    assert len(found.runner.tasks) == 90
    assert {query.policy.model("main").temperature for query in found.runner.queries} == {1.4}


def test_later_depths_see_the_best_attempts_in_increasing_order() -> None:
    found = compiled(worth(i0_0=0.9, i0_1=0.2, i1_0=0.5, i1_1=0.95, i1_2=0.0))
    assert shown(found, 1) == ["20.0: Idea 0-1.", "30.0: Choose the queue.", "90.0: Idea 0-0."]
    # six attempts now, of which the worst three are not shown
    assert shown(found, 2) == ["50.0: Idea 1-0.", "90.0: Idea 0-0.", "95.0: Idea 1-1."]
    assert found.best.candidate.main.instruction == "Idea 1-1."


def test_of_equal_attempts_the_earlier_is_the_better() -> None:
    found = compiled(worth(i0_0=0.3, i0_1=0.3))
    # as published, the authored instruction comes after the others of depth 0
    assert shown(found, 1) == ["30.0: Choose the queue.", "30.0: Idea 0-1.", "30.0: Idea 0-0."]


#: Made-up rewards with many ties, and what DSPy 3.4.1's COPRO showed at depths 1 to 3 on them
#: (breadth 4, depth 4; an instruction's number is depth and place).
REWARDS = {
    "authored": 0.1,
    "0-0": 0.1,
    "0-1": 0.1,
    "0-2": 0.3,
    "1-0": 0.3,
    "1-1": 0.3,
    "1-2": 0.7,
    "1-3": 0.2,
    "2-0": 0.7,
    "2-1": 0.1,
    "2-2": 0.7,
    "2-3": 0.2,
    "3-0": 0.5,
    "3-1": 0.5,
    "3-2": 0.7,
    "3-3": 0.3,
}
SHOWN_BY_DSPY = [
    [("authored", 10.0), ("0-1", 10.0), ("0-0", 10.0), ("0-2", 30.0)],
    [("1-1", 30.0), ("1-0", 30.0), ("0-2", 30.0), ("1-2", 70.0)],
    [("0-2", 30.0), ("2-2", 70.0), ("2-0", 70.0), ("1-2", 70.0)],
]


def test_the_attempts_shown_are_those_that_dspy_shows() -> None:
    def name(instruction: str) -> str:
        return "authored" if instruction == AUTHORED else instruction[5:-1]

    found = compiled(
        lambda policy, row: REWARDS[name(policy.instruction)], config={"breadth": 4, "depth": 4}
    )
    for depth, expected in enumerate(SHOWN_BY_DSPY, start=1):
        pairs = [attempt.split(": ") for attempt in shown(found, depth)]
        assert [(name(text), float(score)) for score, text in pairs] == expected


def test_a_later_proposal_has_the_best_attempt_as_parent() -> None:
    found = compiled(worth(i0_1=0.8))
    best = next(e for e in found.entries if e.candidate.main.instruction == "Idea 0-1.")
    later = [entry for entry in found.entries if entry.origin == "copro:depth 1"]
    assert {entry.parent for entry in later} == {best.candidate.id}
    assert best.parent == found.entries[0].candidate.id


def test_a_text_that_was_tried_is_not_tried_again() -> None:
    def reply(query: Query) -> Prediction:
        depth = place(query)[0]
        return answered({"instruction": AUTHORED if depth == "0" else "  Idea 1-0.\n"})

    found = compiled(reply=reply)
    assert [entry.candidate.main.instruction for entry in found.entries] == [AUTHORED, "Idea 1-0."]
    outcomes = [record.outcome for record in found.search.log.proposals]
    assert outcomes == ["duplicate"] * 2 + ["used"] + ["duplicate"] * 5


def test_a_proposer_that_says_nothing_of_use_leaves_the_base() -> None:
    found = compiled(reply=lambda query: answered(None))
    assert found.origins == ["base"]
    assert found.stopped is None
    assert {record.outcome for record in found.search.log.proposals} == {"junk"}
    assert shown(found, 2) == ["30.0: Choose the queue."]


def test_every_proposal_and_evaluation_is_written_down() -> None:
    found = compiled(worth(i0_0=0.9))
    made = {entry.candidate.id: entry.candidate.main.instruction for entry in found.entries}
    proposals = found.search.log.proposals
    assert [made[record.candidate or ""] for record in proposals] == [r.text for r in proposals]
    assert proposals[0].note == "depth 0"
    assert proposals[2].note == "depth 1, 3 attempts shown"
    trials = found.search.log.trials
    assert [trial.kind for trial in trials] == ["base"] + ["full"] * 8
    assert [trial.candidate for trial in trials] == list(made)
    assert [trial.mean for trial in trials][:3] == [0.3, 0.9, 0.1]
    assert {trial.rows for trial in trials} == {3}


def test_the_proposer_is_told_the_task_and_its_instruction() -> None:
    first = compiled().runner.queries[0]
    assert first.value["basic_instruction"] == AUTHORED
    assert "ticket" in first.value["program"]


def test_only_the_instruction_changes() -> None:
    demo = {"id": "authored", "input": {"ticket": "x"}, "output": {"queue": "other"}}
    base = make_policy(prompt=[{"instruction": AUTHORED}, {"few_shot": [demo]}])
    found = compiled(base=base)
    for entry in found.entries[1:]:
        params = entry.candidate.main.params.to_json()
        assert params.pop("instruction") == {"text": entry.candidate.main.instruction}
        assert params == base.params.to_json()


@pytest.mark.parametrize("passes", [1, 2, 3, 5])
def test_a_budget_stop_keeps_the_best_so_far(passes: int) -> None:
    found = compiled(worth(i0_0=0.9), max_metric_calls=3 * passes + 1)
    assert found.stopped is not None
    assert found.best.candidate.main.instruction == (AUTHORED if passes == 1 else "Idea 0-0.")
    assert sum(found.search.archive.mean(entry) is not None for entry in found.entries) == passes


def test_a_share_that_covers_no_proposal_leaves_the_base_and_says_so() -> None:
    found = compiled(max_lm_calls=100, proposer_share=0.0)
    assert found.origins == ["base"]
    assert found.stopped is None
    assert {record.outcome for record in found.search.log.proposals} == {"no_budget"}
    assert found.runner.queries == []


def rollouts(found: Found) -> list[int]:
    return [query.rollout for query in found.runner.queries]


def test_another_seed_asks_for_other_samples() -> None:
    assert rollouts(compiled(seed=0)) == rollouts(compiled(seed=0))
    assert not set(rollouts(compiled(seed=0))) & set(rollouts(compiled(seed=1)))
    assert len(set(rollouts(compiled()))) == 8


@pytest.mark.parametrize("seed", range(4))
def test_the_order_of_completion_decides_nothing(seed: int) -> None:
    world = worth(i0_0=0.9, i1_1=0.95, i2_2=0.95)
    plain, mixed = compiled(world), compiled(world, shuffle=random.Random(seed))
    assert plain.search.log == mixed.search.log
    assert plain.origins == mixed.origins
    assert plain.best == mixed.best


@pytest.mark.parametrize(
    "config", [{"breadth": 1}, {"depth": 0}, {"init_temperature": 0}, {"track_stats": True}]
)
def test_settings_that_cannot_work_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        compiled(config=config)
