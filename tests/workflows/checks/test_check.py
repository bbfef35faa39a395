"""``dse check``: what is stale and why, what is missing, what is too small, and what it repairs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dse_cli.canonical import sha256_of_text
from dse_cli.contracts.channel import CanaryStop
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import AlteredError, ExitCode, SpecError
from dse_cli.contracts.history import ActivePointer
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.registry import pointer as pointer_moves
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.workflows.checks.check import check_project, gravest
from dse_cli.workflows.checks.check_fix import Fixed, fix_project
from dse_cli.workflows.promotion.canary import CanaryPlan, start_canary_policy
from dse_cli.workflows.promotion.canary_promotion import promote_canary
from dse_cli.workflows.promotion.look import GateTerms
from dse_cli.workflows.promotion.promote import promote_policy
from dse_cli.workflows.promotion.rollback import rollback_policy
from dse_cli.workflows.serving.predict import ServedPolicy
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    JOBS,
    NAME,
    as_model,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    real,
    rows,
    tree,
)

ROWS = "datasets/tickets/rows.jsonl"
COMPILE = f"signatures/{NAME}/compile.yaml"
HOME = f"artifacts/{NAME}"
OTHER = sha256_of_text("other")

Change = Callable[[list[dict[str, Any]]], object]


def promote(project: Project, name: str, transport: Layer | None = None) -> bool:
    word = name.removeprefix("compiled/").removesuffix(".json")
    work = promote_policy(inputs_of(project), word, options(transport or real()))
    return asyncio.run(work).moved


@pytest.fixture(scope="module")
def _compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = make_project(tmp_path_factory.mktemp("check"))
    assert promote(project, compile_it(project, real()).artifact_name)
    return project.root


@pytest.fixture
def project(tmp_path: Path, _compiled: Path) -> Project:
    """A project with a policy that went through the gate."""
    shutil.copytree(_compiled, tmp_path / "project", ignore=shutil.ignore_patterns(".dse"))
    return Project.open(root=tmp_path / "project")


def check(project: Project) -> list[Diagnostic]:
    return check_project(Project.open(root=project.root))


def fix(project: Project) -> list[Fixed]:
    return fix_project(Project.open(root=project.root))


def rewrite(project: Project, change: Change) -> None:
    """Change the rows as somebody edits the file."""
    found = rows()
    change(found)
    text = "".join(json.dumps(row) + "\n" for row in found)
    (project.root / ROWS).write_text(text, encoding="utf-8")


def numbered(split: str, number: int) -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    return lambda found: next(row for row in found if row["id"] == f"{split}-{number:02d}")


def drop(*names: str) -> Change:
    def change(found: list[dict[str, Any]]) -> None:
        found[:] = [row for row in found if row["id"] not in names]

    return change


def one(project: Project) -> Diagnostic:
    (found,) = check(project)
    return found


def test_a_project_with_a_promoted_policy_is_sound(project: Project) -> None:
    assert check(project) == []


@pytest.mark.parametrize("split", ["val", "holdout"])
def test_a_dropped_row_that_the_policy_was_measured_on_is_named(
    project: Project, split: str
) -> None:
    rewrite(project, drop(f"{split}-03"))
    found = one(project)
    assert (found.outcome, found.severity, found.file) == ("stale", "error", ROWS)
    assert found.message == (
        f"1 row that the active policy was measured on is gone from the {split} split: {split}-03"
    )
    assert found.hint is not None
    assert f"dse compile {NAME}" in found.hint
    assert f"dse promote {NAME} --latest" in found.hint
    assert gravest([found]) is ExitCode.QUALITY


def test_many_dropped_rows_are_one_finding_that_names_five(project: Project) -> None:
    rewrite(project, drop(*(f"val-{number:02d}" for number in range(7))))
    message = one(project).message
    assert message.startswith("7 rows that")
    assert "are gone" in message
    assert message.endswith("val-00, val-01, val-02, val-03, val-04 and 2 more")


def test_a_dropped_train_row_names_the_split(project: Project) -> None:
    rewrite(project, drop("train-02"))
    found = one(project)
    assert found.message == (
        "the train split changed since the active policy was compiled (5 rows now)"
    )
    assert gravest([found]) is ExitCode.QUALITY


def test_a_row_that_moved_to_another_split_is_found_at_its_line(project: Project) -> None:
    def move(found: list[dict[str, Any]]) -> None:
        numbered("val", 4)(found)["split"] = "train"

    rewrite(project, move)
    found = {finding.message: finding for finding in check(project)}
    moved = found[
        "1 row that the active policy was measured on left the val split: val-04 is in train now"
    ]
    line = [row["id"] for row in rows()].index("val-04") + 1
    assert (moved.file, moved.line) == (ROWS, line)
    assert len(found) == 2  # and train changed


def test_an_added_row_is_found_at_its_line(project: Project) -> None:
    new = {**rows()[-1], "id": "val-99", "split": "val", "input": {"ticket": "new [other]"}}
    rewrite(project, lambda found: found.append(new))
    found = one(project)
    assert "1 row that the active policy was not measured on was added to the val split" in (
        found.message
    )
    assert (found.file, found.line) == (ROWS, len(rows()) + 1)


def test_an_edited_row_is_a_change_of_content(project: Project) -> None:
    def change(found: list[dict[str, Any]]) -> None:
        numbered("holdout", 5)(found)["expected"] = {"queue": "billing"}

    rewrite(project, change)
    message = one(project).message
    assert message.startswith("holdout rows changed content")


def test_the_order_of_rows_makes_nothing_stale(project: Project) -> None:
    rewrite(project, lambda found: found.reverse())
    assert check(project) == []


def test_a_demo_of_the_policy_that_was_edited_is_named(tmp_path: Path) -> None:
    project = make_project(tmp_path, JOBS["greedy"])
    result = compile_it(project, real())
    shown = result.outputs.artifact.params.few_shot
    assert shown is not None
    demo = shown.examples[0].id
    assert promote(project, result.artifact_name)

    def change(found: list[dict[str, Any]]) -> None:
        row = next(row for row in found if row["id"] == demo)
        row["input"] = {"ticket": row["input"]["ticket"] + "!"}

    rewrite(project, change)
    found = one(project)
    assert found.message == f"1 row that the active policy shows as demos changed: {demo}"
    assert found.line > 0
    rewrite(project, drop(demo))
    assert f"gone from the train split: {demo}" in one(project).message


def test_a_changed_reward_is_a_warning_at_its_line(project: Project) -> None:
    edit(project, COMPILE, "weight: 1.0", "weight: 0.5")
    found = one(project)
    assert (found.code, found.severity, found.file) == ("stale-job", "warning", COMPILE)
    assert "the reward changed since the active policy was compiled" in found.message
    text = (project.root / COMPILE).read_text().splitlines()
    assert text[found.line - 1].startswith("reward:")
    assert gravest([found]) is ExitCode.DONE


def test_a_changed_job_is_a_warning_and_a_comment_is_nothing(project: Project) -> None:
    path = project.root / COMPILE
    path.write_text(path.read_text() + "# a comment\n")
    assert check(project) == []
    edit(project, COMPILE, "seed: 7", "seed: 8")
    assert one(project).message == "the job changed since the active policy was compiled"
    path.unlink()
    (found,) = check(project)
    assert "compile.yaml, which is no longer there" in found.message
    assert found.severity == "warning"


def test_a_changed_signature_is_still_the_stale_error_it_was(project: Project) -> None:
    edit(project, f"signatures/{NAME}/signature.yaml", "You route tickets.", "You sort tickets.")
    (found,) = check(project)
    assert (found.code, found.outcome) == ("stale", "stale")
    assert "the active policy is stale: the prompt changed" in found.message
    assert f"({HOME}/compiled/" in found.message
    assert found.file == f"signatures/{NAME}/signature.yaml", "which is what was changed"


def test_a_compile_of_an_older_version_is_not_stale(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dse_cli.workflows.inputs.__version__", "99.0.0")
    assert check(project) == []


def test_a_candidate_that_lost_on_the_rows_of_now_is_new_evidence(project: Project) -> None:
    """Else a project whose policy is as good as it gets would stay stale for ever."""
    rewrite(project, drop("val-03"))
    assert one(project).outcome == "stale"
    edit(project, COMPILE, "It stands in brackets.", "It always stands in brackets.")
    result = compile_it(project, real())
    assert not promote(project, result.artifact_name)
    findings = check(project)
    assert [(found.code, found.severity) for found in findings] == [("stale-job", "warning")]


def test_candidates_of_other_rows_are_one_warning(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compile_it(project, real())
    edit(project, COMPILE, "CHOOSE A QUEUE.", "CHOOSE ONE.")
    compile_it(project, real())
    assert check(project) == []
    rewrite(project, drop("val-03"))
    found = one(project)
    assert (found.severity, found.file) == ("warning", f"{HOME}/compiled")
    assert found.message.startswith("2 artifacts were measured on other rows")


@pytest.mark.parametrize("name", ["calls.jsonl", "texts.jsonl", "report.md", "receipt.json"])
def test_a_missing_file_of_a_receipt_is_an_error_that_says_what_to_do(
    project: Project, name: str
) -> None:
    (path,) = (project.root / HOME / "receipts").glob(f"*/{name}")
    path.unlink()
    errors = [finding for finding in check(project) if finding.severity == "error"]
    assert [finding.outcome for finding in errors] == ["altered"]
    assert name in errors[0].file + errors[0].message
    assert "restore" in (errors[0].hint or "")
    assert gravest(errors) is ExitCode.INTEGRITY


def test_an_artifact_without_a_receipt_and_a_receipt_without_an_artifact_are_errors(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    result = compile_it(project, real())
    before = tree(project)
    shutil.rmtree(project.root / HOME / result.folder)
    found = one(project)
    assert (found.code, found.file) == ("missing-receipt", f"{HOME}/{result.artifact_name}")
    assert f"dse compile {NAME}" in (found.hint or "")
    compile_it(project, real())  # as the hint says
    assert tree(project) == before
    (project.root / HOME / result.artifact_name).unlink()
    found = one(project)
    assert (found.code, found.message) == ("receipt-subject", "there is no artifact of this run")
    assert "restore" in (found.hint or "")


@pytest.mark.parametrize(("count", "is_enough"), [(3, False), (5, False), (6, True)])
def test_a_holdout_on_which_nothing_can_pass_is_refused_before_anything_is_spent(
    tmp_path: Path, count: int, *, is_enough: bool
) -> None:
    project = make_project(tmp_path)
    rewrite(project, drop(*(f"holdout-{number:02d}" for number in range(count, 24))))
    if is_enough:
        assert check(project) == []
        return
    found = one(project)
    assert (found.file, found.line) == ("datasets/tickets/dataset.yaml", 5)
    assert f"the holdout has {count} rows" in found.message
    assert "at least 6" in found.message
    assert gravest([found]) is ExitCode.USAGE
    with pytest.raises(SpecError, match="the holdout has"):
        inputs_of(project)


def test_rows_of_one_group_count_once(tmp_path: Path) -> None:
    project = make_project(tmp_path)

    def group(found: list[dict[str, Any]]) -> None:
        for index, row in enumerate(found):
            row["who"] = f"c{index % 4}"

    rewrite(project, group)
    path = project.root / "datasets/tickets/dataset.yaml"
    path.write_text(path.read_text() + "group: who\n")
    assert "the holdout has 4 groups" in one(project).message


def test_a_wrong_model_does_not_hide_a_wrong_optimizer(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    edit(project, COMPILE, "main: desk", "main: dsk")
    edit(project, COMPILE, "id: instruction_grid.v1", "id: instruction_gird.v1")
    assert {found.code for found in check(project)} == {"unknown-model", "unknown-optimizer"}


def test_no_holdout_is_a_warning(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    rewrite(project, drop(*(f"holdout-{number:02d}" for number in range(24))))
    found = one(project)
    assert (found.severity, found.line) == ("warning", 5)
    assert "nothing can be promoted" in found.message


def aged(path: Path) -> None:
    os.utime(path, (0, 0))


def test_what_is_safe_is_repaired_once_and_only_once(project: Project) -> None:
    before = tree(project)
    active = project.root / HOME / "active.yaml"
    active.write_text(active.read_text() + "# looks good to me\n")
    half = project.root / HOME / "compiled" / ".dse-0123456789abcdef.tmp"
    half.write_text("half")
    empty = project.root / HOME / "receipts" / "abcdefabcdef"
    empty.mkdir()
    aged(half)
    aged(empty)
    assert {finding.severity for finding in check(project)} == {"warning"}
    assert [(done.file, done.code) for done in fix(project)] == [
        (f"{HOME}/active.yaml", "active-formatting"),
        (f"{HOME}/compiled/{half.name}", "leftover"),
        (f"{HOME}/receipts/{empty.name}", "incomplete-run"),
    ]
    assert tree(project) == before
    assert check(project) == []
    assert fix(project) == []


def test_what_a_running_process_may_be_writing_is_left_alone(project: Project) -> None:
    half = project.root / HOME / "compiled" / ".dse-0123456789abcdef.tmp"
    half.write_text("half")
    (project.root / HOME / "receipts" / "abcdefabcdef").mkdir()
    assert fix(project) == []
    assert half.exists()


def test_an_interrupted_move_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path)
    result = compile_it(project, real())
    cut_off(project, result.artifact_name, monkeypatch)
    assert [finding.code for finding in check(project)] == ["interrupted-move"]
    assert [done.code for done in fix(project)] == ["interrupted-move"]
    assert (project.root / HOME / "active.yaml").exists()
    assert check(project) == []
    assert fix(project) == []


def test_a_cut_off_move_of_a_canary_is_completed_and_named(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    artifact = compile_it(project, real()).artifact_name
    plan = CanaryPlan(50, stop=CanaryStop(min_samples=1, max_error_rate=1))
    asyncio.run(start_canary_policy(inputs_of(project), artifact, plan, options(real())))
    canary, pointer = project.root / HOME / "canary.yaml", project.root / HOME / "active.yaml"
    started = canary.read_bytes()

    def is_completed(*files: str) -> bool:
        assert {finding.code for finding in check(project) if finding.severity == "error"} == {
            "interrupted-move"
        }
        assert [(done.file, done.code) for done in fix(project)] == [
            (f"{HOME}/{file}", "interrupted-move") for file in files
        ]
        return check(project) == [] and fix(project) == []

    canary.unlink()
    assert is_completed("canary.yaml")
    assert canary.read_bytes() == started
    served = ServedPolicy(project, NAME, options(real()))
    for number in range(9):
        asyncio.run(served.predict({"ticket": "a [billing]"}, key=f"user-{number}"))
    promote_canary(inputs_of(project))
    pointer.unlink()
    canary.write_bytes(started)
    assert is_completed("active.yaml", "canary.yaml")
    assert not canary.exists()
    canary.write_bytes(started)
    assert is_completed("canary.yaml")
    assert not canary.exists()


def test_a_policy_that_came_from_a_canary_has_the_holdout_of_its_start(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    artifact = compile_it(project, real()).artifact_name
    plan = CanaryPlan(100, stop=CanaryStop(min_samples=1, max_error_rate=1))
    asyncio.run(start_canary_policy(inputs_of(project), artifact, plan, options(real())))
    asyncio.run(ServedPolicy(project, NAME, options(real())).predict({"ticket": "a [billing]"}))
    promote_canary(inputs_of(project))
    rewrite(project, drop("holdout-03"))
    assert "gone from the holdout split: holdout-03" in one(project).message


def test_a_canary_that_was_edited_is_not_made_to_look_like_ours(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    artifact = compile_it(project, real()).artifact_name
    work = start_canary_policy(inputs_of(project), artifact, CanaryPlan(50), options(real()))
    asyncio.run(work)
    edit(project, f"{HOME}/canary.yaml", "percent: 50", "percent: 90 # more")
    assert one(project).code == "pointer-history"
    before = tree(project)
    assert fix(project) == []
    assert tree(project) == before


def cut_off(project: Project, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promote, and stop between the record and the pointer."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pointer_moves, "_point", stop)
        with pytest.raises(KeyboardInterrupt):
            promote(project, name)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (f"{HOME}/active.yaml", "Choose the queue.", "Choose a queue."),
        (f"{HOME}/active.yaml", "compiled/", "compiled/../compiled/"),
        (ROWS, "val note 3", "val note three"),
        (COMPILE, "CHOOSE A QUEUE.", "CHOOSE."),
    ],
)
def test_what_a_person_may_have_meant_is_never_changed(
    project: Project, file: str, old: str, new: str
) -> None:
    edit(project, file, old, new)
    before = (project.root / file).read_bytes()
    found = check(project)
    assert found
    assert fix(project) == []
    assert (project.root / file).read_bytes() == before
    assert check(project) == found


def test_a_pointer_set_by_hand_is_not_put_back(project: Project) -> None:
    edit(project, COMPILE, "It stands in brackets.", "Look at the brackets.")
    result = compile_it(project, real())
    store = inputs_of(project).store
    stored = store.load_artifact(result.artifact_name)
    pointer = ActivePointer(
        dse="active/v1",
        signature_id=stored.artifact.signature_id,
        compiled_id=stored.artifact.compiled_id,
        artifact=result.artifact_name,
        artifact_digest=stored.digest,
        policy=stored.artifact.params.to_json(),
    )
    store.active_file.write_text(render_active(pointer, name=NAME))
    found = check(project)
    assert [finding.code for finding in found] == ["pointer-history"]
    assert fix(project) == []
    assert check(project) == found


def test_the_local_folder_is_kept_out_of_git(project: Project) -> None:
    (project.root / ".git").mkdir()
    ignore = project.root / ".gitignore"
    ignore.write_text("*.log")
    found = one(project)
    assert (found.code, found.severity, found.file) == ("not-ignored", "warning", ".gitignore")
    (done,) = fix(project)
    assert (done.code, done.message) == ("not-ignored", "added .dse/ and .dse-*.tmp")
    assert ignore.read_text() == "*.log\n.dse/\n.dse-*.tmp\n"
    assert check(project) == []
    assert fix(project) == []


def test_a_line_of_the_repository_above_is_enough(project: Project) -> None:
    (project.root.parent / ".git").mkdir()
    (project.root.parent / ".gitignore").write_text("**/.dse/\n")
    assert check(project) == []


def test_after_a_rollback_the_rows_of_the_policy_that_stands_count(project: Project) -> None:
    edit(project, COMPILE, "It stands in brackets.", "Look into the brackets.")
    rewrite(project, drop("val-08"))
    result = compile_it(project, real())

    def better(request: LmRequest) -> LmResponse:
        """Answer right only when told to look."""
        told = "Look into" in request.messages[0].content
        response = as_model(request)
        return response if told else replace(response, text='{"queue":"other"}')

    assert promote(project, result.artifact_name, RealTransport(better))
    assert check(project) == []
    rollback_policy(inputs_of(project).store, inputs_of(project).signature, reason="a test")
    messages = {finding.message for finding in check(project) if finding.severity == "error"}
    assert messages == set()  # the gate measured it on the rows of now, as its baseline
    rewrite(project, drop("val-08", "holdout-01"))
    messages = {finding.message for finding in check(project) if finding.severity == "error"}
    assert any(message.endswith("holdout split: holdout-01") for message in messages)
    assert any(message.endswith("val split: val-08") for message in messages)


def test_every_finding_has_a_file_and_an_order(project: Project) -> None:
    rewrite(project, drop("val-03", "train-01"))
    edit(project, f"{HOME}/active.yaml", "Choose the queue.", "Choose a queue.")
    edit(project, "dse.yaml", "default_model: desk", "default_model: desk\n# a comment")
    found = check(project)
    assert all(finding.file and finding.message for finding in found)
    assert [finding.file for finding in found] == sorted(finding.file for finding in found)


# --- records ------------------------------------------------------------------------------------


def forge(project: Project, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit the last record, on which no other is built, as one who leaves no plain trace."""
    path = max((project.root / HOME / "history").iterdir())
    record = json.loads(path.read_text())
    record.pop("digest", None)
    change(record)
    path.write_bytes(json_file_bytes(record))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.pop("gate"), None),
        (lambda r: r.update(gate=None), "a promotion without a gate, and without an override"),
        (lambda r: r["gate"].update(verdict="no_change"), "that its gate did not allow"),
        (lambda r: r["gate"]["candidate"].update(scripted=True), "that its gate did not allow"),
        (lambda r: r["gate"].update(look=7), "of which 0 looks are recorded before"),
        (lambda r: r["gate"].update(level=0.2), "not the level of look 1"),
        (lambda r: r["gate"].update(split_hash=OTHER), "not those of its two summaries"),
        (lambda r: r["gate"].update(reward_hash=OTHER), "not that of its two summaries"),
        (lambda r: r["gate"]["comparison"].update(p=0.9), "follow from the rewards"),
        (lambda r: r["gate"]["comparison"].update(delta=0.9), "follow from the rewards"),
        (lambda r: r["gate"]["candidate"]["rows"].update({"holdout-01": 0}), "from the rewards"),
        (lambda r: r["gate"]["candidate"].update(mean=0.99), "not the mean of the rewards"),
        (lambda r: r["gate"].update(min_effect=0.9), "does not follow from the numbers"),
        (lambda r: r.update(override=True), "an override without its reason"),
    ],
)
def test_an_edit_of_the_last_record_is_found_by_what_follows_from_it(
    project: Project, change: Callable[[dict[str, Any]], object], message: str | None
) -> None:
    forge(project, change)
    found = [finding for finding in check(project) if "/history/" in finding.file]
    assert gravest(found) is ExitCode.INTEGRITY
    if message is not None:
        assert any(message in finding.message for finding in found)
        assert {finding.code for finding in found} == {"history-evidence"}


def test_an_override_that_was_rubbed_out_is_found(tmp_path: Path) -> None:
    project = make_project(tmp_path, JOBS["greedy"])
    name = compile_it(project, real()).artifact_name
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    terms = GateTerms(override="trust me")
    asyncio.run(promote_policy(inputs_of(project), name, options(dull), terms))
    assert check(project) == []
    forge(project, lambda record: (record.pop("override"), record.update(reason=None)))
    assert "no override" in one(project).message


def test_a_record_in_another_spelling_is_refused(project: Project) -> None:
    path = max((project.root / HOME / "history").iterdir())
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert {finding.code for finding in check(project)} == {"history-formatting"}
    with pytest.raises(AlteredError, match="not as 'dse' writes it"):
        rollback_policy(inputs_of(project).store, inputs_of(project).signature, reason="x")
