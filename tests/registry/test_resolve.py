"""Two git branches that both promoted: one history with two ends, joined by a record."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dse_cli.contracts.errors import AlteredError, PointerMovedError, UsageError
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.history import (
    append,
    looks,
    main_line,
    previous_promoted,
    read_branches,
    read_history,
    read_records,
    standing_target,
)
from dse_cli.registry.pointer import read_active, recover
from dse_cli.registry.resolve import in_conflict, resolve_branches, settle
from tests.registry.builders import (
    HASH,
    Project,
    findings,
    make_gate,
    make_project,
    make_record,
)
from tests.registry.test_pointer import killed_at


class Forked(NamedTuple):
    """A merged working tree, and the policies that were promoted in it."""

    project: Project
    base: PolicyRef
    ours: PolicyRef
    theirs: PolicyRef


def copy(project: Project, root: Path) -> Project:
    shutil.copytree(project.store.folder, root / "artifacts/route-ticket")
    return make_project(root)


def merge(ours: Project, theirs: Project) -> None:
    """Do what git does: every file of both; the pointer keeps both sides in conflict."""
    for path in sorted(theirs.store.folder.rglob("*.json")):
        target = ours.store.folder / path.relative_to(theirs.store.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    one, other = ours.store.active_file.read_text(), theirs.store.active_file.read_text()
    if one != other:
        text = f"<<<<<<< HEAD\n{one}=======\n{other}>>>>>>> branch\n"
        ours.store.active_file.write_text(text)


def fork(project: Project, tmp_path: Path, *, based: bool = True) -> Forked:
    base, ours, theirs = project.put("base"), project.put("ours"), project.put("theirs")
    if based:
        project.promote(base)
    other = copy(project, tmp_path / "other")
    append(project.store, make_record("refuse", theirs, gate=make_gate(1)))
    project.promote(ours)
    other.promote(theirs)
    append(other.store, make_record("refuse", ours, gate=make_gate(1)))
    append(other.store, make_record("refuse", ours, gate=make_gate(2)))
    merge(project, other)
    return Forked(project, base, ours, theirs)


def resolve(project: Project, kept: PolicyRef, **changes: Any) -> HistoryRecord:
    branches = read_branches(project.store)
    winner = next(b for b in branches if standing_target(b.history) == kept)
    loser = next(b for b in branches if b is not winner)
    return resolve_branches(project.store, winner, loser, make_record("resolve", kept, **changes))


def test_a_merged_fork_is_told_with_what_to_do(project: Project, tmp_path: Path) -> None:
    forked = fork(project, tmp_path)
    with pytest.raises(AlteredFileError, match="two records have the number 2") as caught:
        read_history(forked.project.store)
    assert "dse promote route-ticket --resolve" in str(caught.value.hint)
    codes = {found.code: found.hint for found in findings(project)}
    assert {"history-fork", "merge-conflict"} <= set(codes)
    assert "dse promote route-ticket --resolve" in str(codes["merge-conflict"])
    with pytest.raises(AlteredError):
        append(project.store, make_record("refuse", forked.ours))


@pytest.mark.parametrize("based", [True, False])
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_resolve_joins_both_and_the_pointer_follows(
    project: Project, tmp_path: Path, side: str, based: bool
) -> None:
    forked = fork(project, tmp_path, based=based)
    kept = getattr(forked, side)
    written = resolve(project, kept)
    history = read_history(project.store)
    assert written == history[-1]
    assert written.sequence == max(r.sequence for r in history[:-1]) + 1
    assert written.merges is not None
    assert standing_target(history) == kept
    assert project.current == kept.compiled_id
    assert findings(project) == []
    assert recover(project.store) is False


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_rollback_goes_to_what_the_winning_branch_replaced(
    project: Project, tmp_path: Path, side: str
) -> None:
    forked = fork(project, tmp_path)
    resolve(project, getattr(forked, side))
    assert previous_promoted(read_history(project.store)) == forked.base
    project.rollback()
    assert project.current == forked.base.compiled_id
    project.rollback()
    assert read_active(project.store) is None
    assert findings(project) == []


def test_the_looks_of_both_branches_count(project: Project, tmp_path: Path) -> None:
    forked = fork(project, tmp_path)
    assert looks(read_records(project.store), HASH) == 3
    with pytest.raises(PointerMovedError, match="3 looks are recorded"):
        resolve(project, forked.ours, gate=make_gate(3))
    resolve(project, forked.ours, gate=make_gate(4))
    assert looks(read_history(project.store), HASH) == 4
    assert [record.event for record in main_line(read_history(project.store))] == [
        "promote", "refuse", "promote", "resolve",
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(5))
def test_every_record_of_either_branch_is_held_by_the_resolve(
    project: Project, tmp_path: Path, number: int
) -> None:
    forked = fork(project, tmp_path)
    resolve(project, forked.ours)
    paths = sorted(project.store.history_folder.iterdir())
    assert len(paths) == 7
    path = paths[number]
    path.write_text(path.read_text().replace('"reason": null', '"reason": "because"'))
    with pytest.raises(AlteredError, match="the chain is broken"):
        read_history(project.store)
    path.unlink()
    with pytest.raises(AlteredError, match=r"missing|the chain is broken"):
        read_history(project.store)


def test_an_altered_record_of_a_branch_is_not_resolved_away(
    project: Project, tmp_path: Path
) -> None:
    forked = fork(project, tmp_path)
    second = sorted(project.store.history_folder.glob("0002-*"))[0]
    second.write_text(second.read_text().replace('"reason": null', '"reason": "because"'))
    before = project.tree()
    with pytest.raises(AlteredError, match="the chain is broken"):
        resolve(project, forked.ours)
    assert project.tree() == before


def test_moves_go_on_after_a_resolve(project: Project, tmp_path: Path) -> None:
    forked = fork(project, tmp_path)
    resolve(project, forked.theirs)
    project.promote(forked.ours)
    assert previous_promoted(read_history(project.store)) == forked.theirs
    assert findings(project) == []


def test_a_third_branch_is_joined_after_the_first_two(project: Project, tmp_path: Path) -> None:
    base = project.put("base")
    project.promote(base)
    late = copy(project, tmp_path / "late")
    forked = fork(project, tmp_path, based=False)
    third = late.put("third")
    late.promote(third)
    merge(project, late)
    assert len(read_branches(project.store)) == 3
    for path in project.store.history_folder.glob(f"*{third.compiled_id[7:19]}.json"):
        path.unlink()
    resolve(project, forked.ours)
    merge(project, late)
    resolve(project, third)
    assert project.current == third.compiled_id
    assert previous_promoted(read_history(project.store)) == base
    assert findings(project) == []


def test_a_pointer_that_no_branch_wrote_is_not_overwritten(
    project: Project, tmp_path: Path
) -> None:
    forked = fork(project, tmp_path)
    resolve(project, forked.ours)
    sound = project.store.active_file.read_text()
    again = fork(make_project(tmp_path / "again"), tmp_path / "more").project
    again.store.active_file.write_text(sound.replace("      ours", "      mine"))
    with pytest.raises(AlteredError, match="this file was edited"):
        resolve(again, forked.ours)


def test_killed_at_any_step_the_branches_stay_apart_or_are_joined(
    project: Project, tmp_path: Path
) -> None:
    forked = fork(project, tmp_path)
    outcomes = set()
    for step in range(1, 100):
        trial = copy(project, tmp_path / f"trial{step}")
        code = killed_at(step, lambda p=trial: resolve(p, forked.ours))  # type: ignore[misc]
        joined = len(read_branches(trial.store)) == 1
        conflict = in_conflict(trial.store)
        if not joined:
            assert conflict
            resolve(trial, forked.ours)
        elif conflict:
            with trial.store.lock():
                settle(trial.store)
        assert trial.current == forked.ours.compiled_id
        assert findings(trial) == []
        outcomes.add((joined, conflict))
        if code == 0:
            break
    assert code == 0
    assert outcomes == {(False, True), (True, True), (True, False)}


def test_a_resolve_that_was_cut_off_is_completed_from_either_side(
    project: Project, tmp_path: Path
) -> None:
    forked = fork(project, tmp_path)
    theirs = make_project(tmp_path / "other").store.active_file.read_bytes()
    resolve(project, forked.ours)
    project.store.active_file.write_bytes(theirs)
    assert recover(project.store) is True
    assert project.current == forked.ours.compiled_id


def test_an_artifact_in_a_history_of_two_ends_is_not_a_rollback(
    project: Project, tmp_path: Path
) -> None:
    fork(project, tmp_path)
    with pytest.raises((AlteredError, UsageError)):
        project.rollback()
