from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from dse_cli.contracts.errors import (
    AlteredError,
    DivergenceError,
    IntegrityError,
    StaleError,
    UsageError,
)
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import CompileResult
from dse_cli.workflows.inputs import load_inputs
from dse_cli.workflows.replays.replay import (
    ReplayReport,
    replay_strict,
    replay_until_divergence,
    verify_run,
)
from dse_cli.workflows.session import RunOptions
from tests.workflows.desk import (
    CALLS,
    JOBS,
    NAME,
    VAL,
    Counting,
    compile_it,
    edit,
    make_project,
    options,
    scripted,
    tree,
)

COMPILE = f"signatures/{NAME}/compile.yaml"
SIGNATURE = f"signatures/{NAME}/signature.yaml"


def run_of(result: CompileResult) -> str:
    return result.folder.removeprefix("receipts/")


def strict(project: Project, run: str) -> ReplayReport:
    return asyncio.run(replay_strict(Project.open(root=project.root), run, RunOptions()))


def until(project: Project, run: str, transport: Layer) -> ReplayReport:
    opened = Project.open(root=project.root)
    return asyncio.run(replay_until_divergence(opened, run, options(transport)))


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_strict_replay_derives_the_same_artifact_without_a_model(
    job: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path, JOBS[job])
    result = compile_it(project, scripted())
    before = tree(project)
    report = strict(project, run_of(result))
    assert report.winner == report.recorded == result.outputs.artifact.compiled_id
    assert report.live == 0
    assert report.served == result.paid_calls
    assert tree(project) == before


def test_a_replay_of_a_run_that_a_budget_ended_stops_at_the_same_batch(tmp_path: Path) -> None:
    project = make_project(tmp_path, {**JOBS["grid"], "budget": {"max_lm_calls": 3 * VAL}})
    result = compile_it(project, scripted())
    assert result.outputs.artifact.optimizer.stop_reason.kind == "max_lm_calls"
    assert strict(project, run_of(result)).winner == result.outputs.artifact.compiled_id


def test_a_comment_in_a_spec_changes_nothing(project: Project) -> None:
    run = run_of(compile_it(project, scripted()))
    edit(project, SIGNATURE, "dse: signature/v1", "# a comment\ndse: signature/v1")
    edit(project, COMPILE, "dse: compile_job/v1", "# a comment\ndse: compile_job/v1")
    assert strict(project, run).served == CALLS


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        (SIGNATURE, "Choose the queue.", "Choose a queue.", "signature/prompt_ir"),
        (COMPILE, "seed: 7", "seed: 8", "job"),
        (COMPILE, "weight: 1.0", "weight: 2.0", "reward"),
        ("datasets/tickets/rows.jsonl", "val note 0 ", "val note zero ", "val-rows"),
        ("datasets/tickets/rows.jsonl", "train note 0 ", "train note zero ", "train-rows"),
    ],
)
def test_other_inputs_are_stale_and_named(project, file, old, new, changed) -> None:
    run = run_of(compile_it(project, scripted()))
    edit(project, file, old, new)
    with pytest.raises(StaleError) as stale:
        strict(project, run)
    assert changed in stale.value.message


# --- tampering ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["receipt.json", "calls.jsonl", "texts.jsonl", "report.md"])
@pytest.mark.parametrize("replay", [verify_run, strict])
def test_a_file_of_a_run_that_was_altered_is_named(project: Project, name: str, replay) -> None:
    result = compile_it(project, scripted())
    path = project.root / "artifacts" / NAME / result.folder / name
    data = path.read_bytes()
    path.write_bytes(data.replace(b"queue", b"qeueu", 1) if b"queue" in data else data + b"x\n")
    with pytest.raises(IntegrityError) as altered:
        replay(project, run_of(result))
    assert name in str(altered.value.message)


@pytest.mark.parametrize("name", ["calls.jsonl", "texts.jsonl", "report.md"])
def test_a_file_of_a_run_that_is_missing_is_named(project: Project, name: str) -> None:
    result = compile_it(project, scripted())
    (project.root / "artifacts" / NAME / result.folder / name).unlink()
    with pytest.raises(IntegrityError) as missing:
        verify_run(project, run_of(result))
    assert name in missing.value.message


def test_an_artifact_that_was_altered_is_named(project: Project) -> None:
    result = compile_it(project, scripted())
    edit(project, f"artifacts/{NAME}/{result.artifact_name}", '"lm_calls": 9', '"lm_calls": 8')
    with pytest.raises(AlteredError) as altered:
        verify_run(project, run_of(result))
    assert "artifact" in altered.value.message


def test_a_transcript_that_was_forged_with_all_its_hashes_diverges_or_gives_other_bytes(
    tmp_path: Path,
) -> None:
    honest, forged = make_project(tmp_path / "a"), make_project(tmp_path / "b")
    result = compile_it(honest, scripted())
    compile_it(forged, scripted())
    folder = f"artifacts/{NAME}/{result.folder}"
    receipt = json.loads((forged.root / folder / "receipt.json").read_text())
    charged = receipt["predicate"]["result"]["charged"]
    charged["tokens"] += 1
    (forged.root / folder / "receipt.json").write_text(
        json.dumps(receipt, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )
    # Every digest in the receipt still holds; only a strict replay finds it out.
    verify_run(forged, run_of(result))
    with pytest.raises(AlteredError, match="receipt"):
        strict(forged, run_of(result))


@pytest.mark.parametrize(
    "chosen", [{}, {"signature": 7}, {"signature": NAME, "variant": None, "overrides": {"x": 1}}]
)
def test_a_receipt_whose_parameters_were_edited_is_refused_and_not_a_crash(project, chosen) -> None:
    result = compile_it(project, scripted())
    path = project.root / "artifacts" / NAME / result.folder / "receipt.json"
    receipt = json.loads(path.read_text())
    receipt["predicate"]["buildDefinition"]["externalParameters"] = chosen
    path.write_text(json.dumps(receipt, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    with pytest.raises((IntegrityError, UsageError), match=r"receipt|cannot be changed"):
        strict(project, run_of(result))


# --- counterfactuals ----------------------------------------------------------------------------


def test_without_a_change_a_counterfactual_serves_everything(project: Project) -> None:
    result = compile_it(project, scripted())
    counting = Counting(scripted())
    report = until(project, run_of(result), counting)
    assert (report.served, report.live, report.diverged_at) == (CALLS, 0, None)
    assert counting.requests == []


def test_an_edit_of_the_last_candidate_costs_only_its_own_calls(project: Project) -> None:
    result = compile_it(project, scripted())
    before = tree(project)
    edit(project, COMPILE, "CHOOSE A QUEUE.", "CHOOSE ONE QUEUE.")
    counting = Counting(scripted())
    report = until(project, run_of(result), counting)
    assert (report.served, report.live) == (2 * VAL, VAL)
    assert report.diverged_at is not None
    assert report.diverged_at.startswith("cand=0002/")
    assert len(counting.requests) == VAL
    assert report.winner == result.outputs.artifact.compiled_id
    assert tree(project) == before


def test_an_edit_of_the_base_instruction_diverges_at_once(project: Project) -> None:
    result = compile_it(project, scripted())
    edit(project, SIGNATURE, "Choose the queue.", "Choose a queue.")
    report = until(project, run_of(result), Counting(scripted()))
    assert (report.served, report.live) == (0, CALLS)
    assert report.winner != report.recorded


def test_a_strict_replay_that_asks_something_else_names_the_first_call_in_path_order(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dse_cli.runtime import render

    run = run_of(compile_it(project, scripted()))
    # As if another version of dse rendered prompts otherwise: the inputs are the same.
    monkeypatch.setattr(render, "SCHEMA_FORMAT", "Answer in JSON:")
    with pytest.raises(DivergenceError) as diverged:
        strict(project, run)
    paths = [json.loads(line)["path"] for line in _calls(project, run).splitlines()]
    assert diverged.value.path == min(paths)
    assert "-  Answer with one JSON object" in diverged.value.difference
    assert "+  Answer in JSON:" in diverged.value.difference


def _calls(project: Project, run: str) -> str:
    path = project.root / "artifacts" / NAME / "receipts" / run / "calls.jsonl"
    return path.read_text(encoding="utf-8")


def test_a_run_is_replayed_with_the_overrides_that_it_had(project: Project) -> None:
    from dse_cli.workflows.compiles.compile import compile_signature

    overrides = {"seed": 11, "budget": {"max_metric_calls": 2 * VAL}}
    inputs = load_inputs(project, NAME, overrides=overrides)
    result = asyncio.run(compile_signature(inputs, options(scripted())))
    assert strict(project, run_of(result)).served == 2 * VAL
