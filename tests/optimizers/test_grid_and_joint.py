from __future__ import annotations

import pytest
from pydantic import ValidationError

from dse_cli.contracts.dataset import Row
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import make_rows
from tests.optimizers.searches import GRID, JOINT, instructions, run

SPACE = instructions(b="Better.", a="Worse.")


def by_instruction(policy: Policy, row: Row) -> float:
    return {"Better.": 0.9, "Worse.": 0.1}.get(policy.instruction, 0.5)


def test_the_grid_finds_the_better_instruction() -> None:
    found = run(GRID, SPACE, by_instruction)
    assert found.best.origin == "instruction:b"
    assert found.best.candidate.main.instruction == "Better."


def test_the_base_is_the_first_candidate_and_variants_follow_by_id() -> None:
    found = run(GRID, SPACE, by_instruction)
    assert found.origins == ["base", "instruction:a", "instruction:b"]
    base = found.entries[0]
    assert [entry.parent for entry in found.entries] == [
        None, base.candidate.id, base.candidate.id,
    ]  # fmt: skip


def test_the_base_wins_when_nothing_beats_it() -> None:
    found = run(GRID, SPACE, lambda policy, row: 0.5 - 0.1 * (policy.instruction == "Better."))
    assert found.search.archive.mean(found.best) == 0.5
    only_worse = run(GRID, instructions(a="Worse."), by_instruction)
    assert only_worse.best.origin == "base"


def test_ties_go_to_fewer_tokens() -> None:
    found = run(GRID, SPACE, lambda policy, row: (0.5, len(policy.instruction)))
    assert found.best.candidate.main.instruction == "Worse."


def test_ties_of_tokens_go_to_the_smaller_id() -> None:
    found = run(GRID, SPACE, lambda policy, row: (0.5, 10))
    assert found.best.candidate.id == min(entry.candidate.id for entry in found.entries)


@pytest.mark.parametrize("cap", [3, 5, 6, 8])
def test_a_budget_stop_leaves_the_best_that_was_fully_evaluated(cap: int) -> None:
    found = run(GRID, SPACE, by_instruction, max_metric_calls=cap)
    assert found.stopped is not None
    assert len(found.runner.tasks) == cap // 3 * 3
    assert found.best.origin == "base"
    assert found.search.archive.mean(found.best) == 0.5


def test_settings_that_an_optimizer_does_not_have_are_refused() -> None:
    for registered in OPTIMIZERS.values():
        with pytest.raises(ValidationError):
            registered.parse({"no_such_setting": 1})


def test_an_id_is_the_name_of_its_own_algorithm() -> None:
    assert all(name == registered.optimizer.id for name, registered in OPTIMIZERS.items())


def test_joint_grows_demos_from_the_best_instruction_only() -> None:
    def world(policy: Policy, row: Row) -> float:
        good = policy.instruction == "Better."
        helps = "r002" in [demo.id for demo in policy.demos]
        return 0.2 + 0.4 * good + (0.3 * helps if good else 0.8 * helps)

    found = run(JOINT, {**SPACE, "few_shot": {"k_max": 2}}, world)
    assert found.origins[:3] == ["base", "instruction:a", "instruction:b"]
    assert found.best.candidate.main.instruction == "Better."
    assert found.shown == ["r002"]
    assert {entry.candidate.main.instruction for entry in found.entries[3:]} == {"Better."}
    assert found.entries[3].parent == found.entries[2].candidate.id


def test_joint_grows_from_the_base_when_no_variant_is_better() -> None:
    def world(policy: Policy, row: Row) -> float:
        return 0.5 if policy.instruction == "Choose the queue." else 0.1

    found = run(JOINT, {**SPACE, "few_shot": {"k_max": 1}}, world, train=make_rows(2, "train"))
    assert {entry.candidate.main.instruction for entry in found.entries[3:]} == {
        "Choose the queue."
    }
