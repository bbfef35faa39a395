"""A canary's file and history move together, whatever stops the machine, and never by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.channel import CanaryPointer
from dse_cli.contracts.errors import AlteredError, PointerMovedError, StaleError
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.registry.canary import canary_policy, read_canary
from dse_cli.registry.canary_moves import start_canary, stop_canary
from dse_cli.registry.history import (
    append,
    previous_promoted,
    read_history,
    standing_canary,
    standing_target,
)
from dse_cli.registry.pointer import move_pointer, recover
from tests.registry.builders import (
    Project,
    findings,
    make_gate,
    make_project,
    make_record,
    make_signature,
)
from tests.registry.test_pointer import killed_at

NOTE: dict[str, Any] = {
    "percent": 12.5,
    "salt": "abc",
    "stop": {"min_samples": 20, "max_error_rate": 0.2},
}


def record(
    event: str, source: PolicyRef, target: PolicyRef | None, **changes: Any
) -> HistoryRecord:
    extra = {"channel": "canary", "canary": NOTE, "source": source.to_json(), **changes}
    return make_record(event, target, **extra)


def start(project: Project, active: PolicyRef, target: PolicyRef, **changes: Any) -> HistoryRecord:
    begun = record("promote", active, target, **changes)
    return start_canary(project.store, active.compiled_id, begun)


def stop(project: Project, canary: PolicyRef) -> HistoryRecord:
    return stop_canary(project.store, record("rollback", canary, None, reason="enough"))


def promote_it(project: Project, active: PolicyRef, canary: PolicyRef) -> HistoryRecord:
    move = make_record("promote", canary, canary=NOTE, source=active.to_json())
    return move_pointer(project.store, active.compiled_id, canary, move)


def two(project: Project) -> tuple[PolicyRef, PolicyRef]:
    one, other = project.put("one"), project.put("two")
    project.promote(one)
    return one, other


def test_a_canary_is_a_pointer_of_its_own_and_the_active_one_stays(project: Project) -> None:
    one, other = two(project)
    before = project.store.active_file.read_bytes()
    start(project, one, other)
    pointer = read_canary(project.store)
    assert pointer is not None
    assert (pointer.compiled_id, pointer.percent, pointer.salt) == (other.compiled_id, 12.5, "abc")
    assert pointer.baseline == one.compiled_id
    assert project.store.active_file.read_bytes() == before
    history = read_history(project.store)
    assert standing_target(history) == one
    assert standing_canary(history) == history[-1]
    assert findings(project) == []


def test_its_file_reads_like_the_active_one(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    text = project.store.canary_file.read_text()
    assert text.splitlines()[1].endswith("--channel canary --percent 12.5")
    assert "percent: 12.5\n" in text
    assert "stop:\n  min_samples: 20\n  max_error_rate: 0.2\n" in text
    assert "policy:\n  instruction:\n    text: |-\n      two\n" in text


def test_stopping_it_leaves_no_file_and_one_record(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    stop(project, other)
    assert not project.store.canary_file.exists()
    history = read_history(project.store)
    assert standing_canary(history) is None
    assert standing_target(history) == one
    names = sorted(path.name for path in project.store.history_folder.iterdir())
    assert names[-1] == f"0003-rollback-{other.compiled_id[7:19]}.json"


def test_promoting_it_moves_the_active_pointer_and_ends_it(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    promote_it(project, one, other)
    assert project.current == other.compiled_id
    assert not project.store.canary_file.exists()
    assert previous_promoted(read_history(project.store)) == one
    assert findings(project) == []


def test_a_second_canary_and_another_active_policy_are_refused(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    with pytest.raises(PointerMovedError, match="a canary on"):
        start(project, one, project.put("three"))
    stop(project, other)
    with pytest.raises(PointerMovedError, match="measured against"):
        start(project, other, project.put("three"))
    with pytest.raises(PointerMovedError, match="no canary runs"):
        stop(project, other)
    with pytest.raises(PointerMovedError, match="no canary runs"):
        promote_it(project, one, other)


def test_a_canary_whose_gate_miscounts_its_look_does_not_start(project: Project) -> None:
    one, other = two(project)
    append(project.store, make_record("refuse", other, gate=make_gate(1)))
    with pytest.raises(PointerMovedError, match="1 looks are recorded"):
        start(project, one, other, gate=make_gate(1))
    start(project, one, other, gate=make_gate(2))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("percent: 12.5", "percent: 50", "the file was edited"),
        ("salt: abc", "salt: abd", "the file was edited"),
        ("max_error_rate: 0.2", "max_error_rate: 1", "the file was edited"),
        ("      two", "      2", r"policy\.instruction\.text differs"),
        ("percent: 12.5", "percent: 12.345", "two decimals"),
        ("percent: 12.5", "percent: 0", "."),
        ("dse: canary/v1", "dse: active/v1", "."),
    ],
)
def test_an_edited_canary_is_refused_by_the_next_move(
    project: Project, old: str, new: str, message: str
) -> None:
    one, other = two(project)
    start(project, one, other)
    path = project.store.canary_file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(AlteredError, match=message):
        stop(project, other)
    with pytest.raises(AlteredError, match=message):
        project.promote(other)


def test_a_file_that_was_removed_is_made_again_from_the_record(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    before = project.store.canary_file.read_bytes()
    project.promote(other)
    project.store.canary_file.unlink()
    # The record that started it is not the last move of a pointer, but the last of the canary.
    assert recover(project.store) is True
    assert project.store.canary_file.read_bytes() == before


def test_a_canary_without_history_is_refused(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    text = project.store.canary_file.read_bytes()
    stop(project, other)
    project.promote(other)
    project.store.canary_file.write_bytes(text.replace(b"abc", b"xyz"))
    with pytest.raises(AlteredError, match="knows no canary"):
        recover(project.store)


def test_a_stale_canary_does_not_serve(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    assert canary_policy(project.store, make_signature()) is not None
    with pytest.raises(StaleError, match="the canary of route-ticket is stale"):
        canary_policy(project.store, make_signature(output={"queue": "string"}))


@pytest.mark.parametrize("move", ["start", "stop", "promote"])
def test_killed_at_any_step_the_move_has_not_begun_or_can_be_finished(
    tmp_path: Path, move: str
) -> None:
    outcomes = set()
    for step in range(1, 100):
        project = make_project(tmp_path / str(step))
        one, other = two(project)
        if move != "start":
            start(project, one, other)
        recorded_before = len(read_history(project.store))
        work: dict[str, Callable[[], Any]] = {
            "start": lambda p=project, a=one, b=other: start(p, a, b),  # type: ignore[misc]
            "stop": lambda p=project, b=other: stop(p, b),  # type: ignore[misc]
            "promote": lambda p=project, a=one, b=other: promote_it(p, a, b),  # type: ignore[misc]
        }
        code = killed_at(step, work[move])
        recorded = len(read_history(project.store)) > recorded_before
        completed = recover(project.store)
        running = read_canary(project.store)
        assert (running is not None) is (recorded if move == "start" else not recorded)
        moved = move == "promote" and recorded
        assert project.current == (other if moved else one).compiled_id
        assert findings(project) == []
        assert recover(project.store) is False
        outcomes.add((recorded, completed))
        if code == 0:
            break
    assert code == 0
    assert outcomes == {(False, False), (True, True), (True, False)}


def test_the_file_round_trips(project: Project) -> None:
    one, other = two(project)
    start(project, one, other)
    pointer = read_canary(project.store)
    assert pointer is not None
    assert CanaryPointer.model_validate(pointer.to_json()) == pointer
