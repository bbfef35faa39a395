"""Three pull requests that CI must stop, each with a message and an exit code of its own."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import HOLDOUT, NAME, VAL, DeskServer, rows
from tests.e2e.running import git

HOME = f"artifacts/{NAME}"
ACTIVE = f"{HOME}/active.yaml"
ROWS = "datasets/notes/rows.jsonl"
GATE = ("eval", NAME, "--against", "active@main", "--max-regression", "0.05")


@pytest.fixture
def branch(promoted: Desk) -> Desk:
    """A branch of a project whose main has a promoted policy."""
    git(promoted.root, "branch", "-M", "main")
    git(promoted.root, "checkout", "-qb", "pull-request")
    return promoted


def drop(desk: Desk, row_id: str) -> None:
    path = desk.root / ROWS
    lines = path.read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["id"] != row_id]
    assert len(kept) == len(lines) - 1
    path.write_text("".join(kept))
    desk.commit()


def first_of(split: str) -> str:
    found = next(row["id"] for row in rows() if row["split"] == split)
    assert isinstance(found, str)
    return found


def only_error(desk: Desk, code: int) -> dict[str, Any]:
    ran = desk.dse("check", "--json", code=code)
    (error,) = [one for one in ran.document["diagnostics"] if one["severity"] == "error"]
    assert isinstance(error, dict)
    return error


def test_main_passes_all_three_gates(branch: Desk) -> None:
    assert branch.dse("check").stdout == "sound\n"
    replayed = branch.dse("replay", "--all", "--mode", "strict").stdout
    assert replayed.endswith("1 receipt replayed\n")
    assert branch.dse(*GATE, "--json").document["outcome"] == "evaluated"
    assert branch.status() == ""


def test_a_hand_edited_instruction_is_stopped_as_edited(branch: Desk) -> None:
    path = branch.root / ACTIVE
    text = path.read_text()
    line = text[: text.index("The note names it.")].count("\n") + 1
    path.write_text(text.replace("The note names it.", "The note hides it."))
    branch.commit()

    error = only_error(branch, 4)
    assert (error["outcome"], error["code"]) == ("altered", "policy-edited")
    assert (error["file"], error["line"]) == (ACTIVE, line)
    assert error["message"].endswith("this file was edited")
    said = branch.dse("check", code=4).stderr
    assert f"--> {ACTIVE}:{line}" in said
    assert "The note hides it." in said


@pytest.mark.parametrize("split", ["val", "holdout"])
def test_a_dropped_row_of_the_evidence_is_stopped_as_stale(branch: Desk, split: str) -> None:
    gone = first_of(split)
    drop(branch, gone)
    error = only_error(branch, 1)
    assert (error["outcome"], error["file"]) == ("stale", ROWS)
    assert error["message"] == (
        f"1 row that the active policy was measured on is gone from the {split} split: {gone}"
    )
    assert branch.dse("check", "--json", code=1).document["outcome"] == "stale"


def test_a_dropped_train_row_is_stopped_as_stale(branch: Desk) -> None:
    drop(branch, first_of("train"))
    error = only_error(branch, 1)
    assert error["outcome"] == "stale"
    assert error["message"].startswith("the train split changed since the active policy")


def test_a_loss_of_accuracy_is_stopped_as_a_regression(branch: Desk) -> None:
    """Every file is sound and every receipt replays: only a measurement can tell."""
    branch.dse("rollback", NAME, "--reason", "the old prompt reads better")
    branch.commit()
    assert branch.dse("check").stdout == "sound\n"
    branch.dse("replay", "--all")

    ran = branch.dse(*GATE, code=1)
    said = ran.stdout + ran.stderr
    assert "regression: " in said
    assert f"n = {VAL}" in said
    assert branch.dse(*GATE, "--json", code=1).document["outcome"] == "regression"


def test_a_small_loss_is_within_the_limit(branch: Desk) -> None:
    branch.dse("rollback", NAME, "--reason", "the old prompt reads better")
    branch.commit()
    assert branch.dse(*GATE[:-1], "0.95").code == 0


def test_the_three_are_told_apart(branch: Desk) -> None:
    root = branch.root
    outcomes: dict[str, tuple[int, str]] = {}

    def on(name: str) -> None:
        git(root, "checkout", "-q", "main")
        git(root, "checkout", "-qb", name)

    on("edited")
    path = root / ACTIVE
    path.write_text(path.read_text().replace("The note names it.", "The note hides it."))
    branch.commit()
    ran = branch.dse("check", "--json", code=None)
    outcomes["edited"] = (ran.code, ran.document["outcome"])
    on("dropped")
    drop(branch, first_of("val"))
    ran = branch.dse("check", "--json", code=None)
    outcomes["dropped"] = (ran.code, ran.document["outcome"])
    on("worse")
    branch.dse("rollback", NAME, "--reason", "r")
    branch.commit()
    ran = branch.dse(*GATE, "--json", code=None)
    outcomes["worse"] = (ran.code, ran.document["outcome"])
    assert outcomes == {
        "edited": (4, "altered"),
        "dropped": (1, "stale"),
        "worse": (1, "regression"),
    }


def test_a_dropped_row_passes_once_it_was_compiled_and_promoted_again(branch: Desk) -> None:
    drop(branch, first_of("val"))
    branch.dse("compile", NAME)
    branch.dse("promote", NAME, "--latest")
    branch.commit()
    assert branch.dse("check").stdout == "sound\n"
    ran = branch.dse("replay", "--all", "--json").document
    assert [(one["active"], one["outcome"]) for one in ran["results"]] in (
        [(True, "replayed"), (False, "verified")],
        [(False, "verified"), (True, "replayed")],
    )
    assert branch.dse(*GATE, "--json").document["outcome"] == "evaluated"


def test_findings_are_annotations_on_the_changed_lines(branch: Desk) -> None:
    path = branch.root / ACTIVE
    path.write_text(path.read_text().replace("The note names it.", "The note hides it."))
    said = branch.dse("check", code=4, GITHUB_ACTIONS="true").stderr
    (annotation,) = [line for line in said.splitlines() if line.startswith("::error")]
    assert annotation.startswith(f"::error file={ACTIVE},line=")
    assert "title=policy-edited" in annotation
    workspace = str(branch.root.parent)
    said = branch.dse("check", code=4, GITHUB_ACTIONS="true", GITHUB_WORKSPACE=workspace).stderr
    assert f"::error file={branch.root.name}/{ACTIVE},line=" in said


def test_check_calls_no_model_and_changes_nothing(branch: Desk, server: DeskServer) -> None:
    shutil.rmtree(branch.root / ".dse", ignore_errors=True)
    drop(branch, first_of("val"))
    branch.dse("check", code=1)
    branch.dse("replay", "--all", "--mode", "verify")
    assert server.total == 0
    assert branch.status() == ""


def test_a_stale_active_run_fails_the_strict_replay_and_the_rest_is_tried(branch: Desk) -> None:
    drop(branch, first_of("val"))
    ran = branch.dse("replay", "--all", "--json", code=4).document
    assert ran["outcome"] == "stale"
    assert ran["failed"] == 1
    assert "val-rows changed" in ran["results"][0]["message"]
    named = branch.dse("replay", "--all", NAME, "--mode", "verify").stdout
    assert "every hash holds" in named


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("replay",), 2),
        (("replay", "--all", "--mode", "until-divergence"), 2),
        (("replay", "--all", "no-such-signature"), 2),
    ],
)
def test_contradictory_replays_are_refused(branch: Desk, words: tuple[str, ...], code: int) -> None:
    assert branch.dse(*words, "--json", code=code).document["outcome"] == "usage"


def test_a_small_holdout_is_refused_by_check_and_by_compile(
    branch: Desk, server: DeskServer
) -> None:
    path = branch.root / ROWS
    kept = [row for row in rows() if row["split"] != "holdout"]
    kept += [row for row in rows() if row["split"] == "holdout"][: HOLDOUT // 6]
    path.write_text("".join(json.dumps(row) + "\n" for row in kept))
    for words in (("check",), ("compile", NAME)):
        said = branch.dse(*words, code=2).stderr
        assert "datasets/notes/dataset.yaml:4" in said
        assert "the holdout has 3 rows" in said
        assert "at least 6" in said
    assert server.total == 0


def test_what_is_safe_is_fixed_and_listed(branch: Desk) -> None:
    path = branch.root / ACTIVE
    before = path.read_text()
    path.write_text(before + "# checked by hand\n")
    half = leftover(branch.root / HOME)
    ran = branch.dse("check", "--fix").stdout
    assert ran.splitlines() == [
        f"fixed: {ACTIVE}: written as 'dse promote' writes it",
        f"fixed: {half}: removed",
        "sound",
    ]
    assert path.read_text() == before
    document = branch.dse("check", "--fix", "--json").document
    assert (document["outcome"], document["fixed"]) == ("sound", [])
    assert branch.status() == ""


def leftover(home: Path) -> str:
    path = home / "compiled" / ".dse-00112233aabbccdd.tmp"
    path.write_text("half")
    os.utime(path, (0, 0))
    return path.relative_to(home.parents[1]).as_posix()


def test_an_edited_policy_is_not_fixed(branch: Desk) -> None:
    path = branch.root / ACTIVE
    path.write_text(path.read_text().replace("The note names it.", "The note hides it."))
    edited = path.read_bytes()
    document = branch.dse("check", "--fix", "--json", code=4).document
    assert document["fixed"] == []
    assert [one["code"] for one in document["diagnostics"]] == ["policy-edited"]
    assert path.read_bytes() == edited
