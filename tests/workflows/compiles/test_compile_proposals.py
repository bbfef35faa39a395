from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import StaleError, UsageError
from dse_cli.optimizers.proposals import meta_signatures
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.replays.replay import replay_strict
from dse_cli.workflows.session import RunOptions
from tests.workflows.desk import GRID, edit, inputs_of, tree
from tests.workflows.proposals.studio import (
    JOB,
    OWN,
    add_proposer,
    compile_one,
    make_studio,
    override,
    studio_model,
)


@pytest.fixture
def studio(tmp_path: Path) -> Project:
    return make_studio(tmp_path)


def replay(project: Project, run: str) -> int:
    opened = Project.open(root=project.root)
    return asyncio.run(replay_strict(opened, run, RunOptions())).served


def test_a_compile_finds_what_a_proposer_wrote_and_says_so_in_its_receipt(studio: Project) -> None:
    result = compile_one(studio, studio_model())
    artifact, receipt = result.outputs.artifact, result.outputs.receipt

    assert artifact.evaluation.mean == 1.0
    found = receipt.predicate.result.to_json()
    assert [one["outcome"] for one in found["proposals"]] == ["used", "junk", "used", "used"]
    assert artifact.params.instruction is not None
    # In the second round the proposer was shown what had failed in the first.
    assert artifact.params.instruction.text == found["proposals"][2]["text"]
    assert found["winner"] == found["proposals"][2]["candidate"]
    assert [one["kind"] for one in found["trials"]] == [
        "base",
        "full",
        "reflection",
        "full",
        "full",
    ]
    names = [one.name for one in receipt.predicate.buildDefinition.resolvedDependencies]
    assert "meta:propose_instruction/policy" in names


def test_the_model_that_proposed_is_in_the_artifact_as_asked_and_as_served(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, models={"main": "desk", "proposer": "muse"})
    models = compile_one(studio, studio_model()).outputs.artifact.provenance.models

    assert models["proposer"].asked == "openai/muse"
    assert models["proposer"].served == "openai/muse-1"
    assert models["main"].served == "openai/desk-1"


def test_the_model_that_taught_is_in_the_artifact_as_asked_and_as_served(tmp_path: Path) -> None:
    studio = make_studio(
        tmp_path,
        models={"main": "desk", "teacher": "muse"},
        optimizer={"id": "bootstrap_random_search.v1", "config": {"num_candidate_programs": 1}},
    )
    models = compile_one(studio, studio_model()).outputs.artifact.provenance.models

    assert models["teacher"].asked == "openai/muse"
    assert models["teacher"].served == "openai/muse-1"
    assert "proposer" not in models


def test_a_replay_asks_nobody_and_gives_the_same_bytes(studio: Project) -> None:
    model = studio_model()
    result = compile_one(studio, model)
    before = tree(studio)

    assert replay(studio, result.outputs.artifact.provenance.run[7:19]) == len(model.requests)
    assert tree(studio) == before


def test_a_compile_with_an_override_replays_until_the_override_changes(studio: Project) -> None:
    add_proposer(studio)
    override(studio)
    run = compile_one(studio, studio_model()).outputs.artifact.provenance.run[7:19]

    assert replay(studio, run) > 0
    edit(studio, OWN, "our way", "our own way")
    with pytest.raises(StaleError, match="meta:propose_instruction/policy changed"):
        replay(studio, run)


def test_another_text_of_a_shipped_meta_signature_is_another_run(
    studio: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = inputs_of(studio).run_inputs_hash
    other = meta_signatures.shipped_signature("rewrite_instruction")
    monkeypatch.setattr(
        "dse_cli.workflows.proposals.meta_policies.shipped_signature", lambda name: other
    )

    assert inputs_of(studio).run_inputs_hash != before


def test_an_optimizer_of_the_command_line_has_default_settings_and_replays(
    tmp_path: Path,
) -> None:
    job: dict[str, Any] = {**GRID, "search_space": {}}
    studio = make_studio(tmp_path, **job)
    chosen = {"optimizer": {"id": "instruction_propose.v1"}}
    result = compile_one(studio, studio_model(), overrides=chosen)

    artifact = result.outputs.artifact
    assert artifact.optimizer.id == "instruction_propose.v1"
    assert artifact.optimizer.config["breadth"] == 4
    assert replay(studio, artifact.provenance.run[7:19]) > 0


def test_an_optimizer_of_the_command_line_leaves_out_what_it_has_no_use_for(
    tmp_path: Path,
) -> None:
    studio = make_studio(
        tmp_path,
        models={"main": "desk", "proposer": "muse"},
        budget={"max_lm_calls": 99, "proposer_share": 0.5},
        meta={"refine_instruction": {"signature": "my-proposer"}},
    )
    inputs = inputs_of(studio, overrides={"optimizer": {"id": "authored.v1"}})

    assert inputs.left_out == (
        "models.proposer",
        "budget.proposer_share",
        "meta",
        "optimizer.config",
    )
    assert inputs.job.budget.max_lm_calls == 99
    assert find_optimizer(inputs)[0].optimizer.id == "authored.v1"
    plain = inputs_of(make_studio(tmp_path / "grid", **GRID), overrides={
        "optimizer": {"id": "instruction_propose.v1"}})  # fmt: skip
    assert plain.left_out == ("search_space.instructions",)


def test_an_optimizer_of_the_command_line_keeps_the_meta_signatures_that_it_asks(
    tmp_path: Path,
) -> None:
    own = {"signature": "my-proposer"}
    studio = make_studio(tmp_path, meta={"propose_instruction": own, "refine_instruction": own})
    add_proposer(studio)
    inputs = inputs_of(studio, overrides={"optimizer": {"id": "mipro_v2.v1"}})

    assert inputs.left_out == ("meta.refine_instruction", "optimizer.config")
    assert set(inputs.job.meta) == {"propose_instruction"}
    assert find_optimizer(inputs)[0].optimizer.id == "mipro_v2.v1"


@pytest.mark.parametrize("chosen", ["x", {"id": 3}, {"id": None}, {"id": []}])
def test_what_is_no_optimizer_at_all_is_refused(studio: Project, chosen: Any) -> None:
    with pytest.raises(UsageError, match="cannot be changed like this"):
        inputs_of(studio, overrides={"optimizer": chosen})


def test_naming_the_jobs_own_optimizer_keeps_its_settings(studio: Project) -> None:
    inputs = inputs_of(studio, overrides={"optimizer": {"id": "instruction_propose.v1"}})

    assert inputs.job.optimizer.config["breadth"] == 2


def test_an_unknown_optimizer_of_the_command_line_is_no_error_of_the_file(studio: Project) -> None:
    with pytest.raises(UsageError) as error:
        inputs_of(studio, overrides={"optimizer": {"id": "instruction_propos.v1"}})

    assert error.value.hint == "did you mean 'instruction_propose.v1'?"


def test_a_share_that_is_used_up_ends_the_proposals_and_not_the_search(tmp_path: Path) -> None:
    studio = make_studio(tmp_path, budget={"max_lm_calls": 60, "proposer_share": 0.02})
    result = compile_one(studio, studio_model())

    found = json.loads(json.dumps(result.outputs.receipt.predicate.result.to_json()))
    assert [one["outcome"] for one in found["proposals"]] == ["used", "no_budget"]
    assert found["stop_reason"]["kind"] == "complete"
    assert (studio.root / JOB).is_file()
