from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dse_cli.contracts.errors import SpecError
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.plans.plan import plan_compile
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.replays.replay import replay_strict, verify_run
from dse_cli.workflows.session import RunOptions
from tests.optimizers.searches import run
from tests.workflows.desk import (
    GRID,
    VAL,
    Counting,
    compile_it,
    inputs_of,
    make_project,
    scripted,
)

AUTHORED = {"optimizer": {"id": "authored.v1"}, "search_space": {}}


def test_the_base_is_measured_on_all_of_val_and_nothing_else() -> None:
    found = run("authored.v1", {}, lambda policy, row: 0.5)
    assert found.origins == ["base"]
    assert found.best.candidate.main.id == found.search.base.id
    assert [task.row.id for task in found.runner.tasks] == [row.id for row in found.search.val]


@pytest.mark.parametrize("part", ["instructions", "few_shot", "knobs"])
def test_a_search_space_is_refused_because_nothing_is_searched(part: str, tmp_path: Path) -> None:
    space = {
        "instructions": GRID["search_space"]["instructions"],
        "few_shot": {"k_max": 1},
        "knobs": {"model.temperature": [0.7]},
    }
    project = make_project(tmp_path, {**AUTHORED, "search_space": {part: space[part]}})
    with pytest.raises(SpecError) as error:
        find_optimizer(inputs_of(project))
    [found] = error.value.diagnostics
    assert found.message == f"authored.v1 does not search {part!r}"
    assert found.hint == "remove it: what is searched is nothing"
    assert found.file == "signatures/route/compile.yaml"
    assert found.line > 1


def test_a_job_without_a_search_space_pins_the_policy_as_written(tmp_path: Path) -> None:
    project = make_project(tmp_path, AUTHORED)
    inputs = inputs_of(project)
    plan = asyncio.run(plan_compile(inputs, RunOptions(transport=scripted())))
    assert (plan.candidates, plan.metric_calls) == (1, VAL)
    counting = Counting(scripted())
    result = compile_it(project, counting)
    artifact = result.outputs.artifact
    assert artifact.compiled_id == inputs.base.id
    assert artifact.evaluation == artifact.baseline
    assert not result.outputs.receipt.predicate.result.improved
    assert len(counting.requests) == VAL
    named = find_policy(inputs.store, inputs.signature, inputs.base, artifact.compiled_id[:19])
    assert named.policy.params == inputs.base.params


def test_its_run_verifies_and_replays(tmp_path: Path) -> None:
    project = make_project(tmp_path, AUTHORED)
    run_id = compile_it(project, scripted()).folder.removeprefix("receipts/")
    opened = Project.open(root=project.root)
    assert verify_run(opened, run_id).served == VAL
    report = asyncio.run(replay_strict(opened, run_id, RunOptions()))
    assert report.winner == report.recorded
