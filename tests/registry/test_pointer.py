"""The pointer: reading fails closed; moving survives stops, edits and competitors."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import (
    AlteredError,
    InfrastructureError,
    PointerMovedError,
    StaleError,
)
from dse_cli.contracts.history import PolicyRef
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.history import append, read_history
from dse_cli.registry.pointer import active_policy, move_pointer, read_active, recover
from tests.registry.builders import (
    Project,
    findings,
    make_artifact,
    make_gate,
    make_project,
    make_record,
    make_signature,
)

FORK = multiprocessing.get_context("fork")
TEXT = "You sort tickets.\nBe brief.\nAnswer with one queue.\n"


def edit(project: Project, old: str, new: str) -> None:
    path = project.store.active_file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_without_a_file_the_authored_policy_is_active(project: Project) -> None:
    assert read_active(project.store) is None
    assert active_policy(project.store, make_signature()) is None


def test_a_promotion_is_read_back_with_its_artifact(project: Project) -> None:
    target = project.put(TEXT)
    project.promote(target)
    active = active_policy(project.store, make_signature())
    assert active is not None
    assert active.ref == target
    assert active.artifact == make_artifact(TEXT)
    assert active.pointer.policy == active.artifact.params.to_json()


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("Be brief.", "Be cruel.", 13, r"policy\.instruction\.text differs"),
        ("Answer with one queue.\n", "Answer with one queue.\n      Now.\n", 15, "differs"),
        ("openai/small", "openai/large", 16, r"policy\.model\.model differs"),
        ("    model: openai/small\n", "    model: openai/small\n    top_p: 0.5\n", 17, "top_p"),
        ("artifact_digest: sha256:", "artifact_digest: sha256:0", 8, "."),
        ("dse: active/v1", "dse: active/v2", 4, "."),
        ("policy:", "polcy:", 9, "polcy|policy"),
        ("dse: active/v1", "<<<<<<< ours\ndse: active/v1", 4, "merge conflict"),
        ("policy:", "policy: [", 9, "."),
    ],
)
def test_an_edited_pointer_is_refused_at_its_line(
    project: Project, old: str, new: str, line: int, message: str
) -> None:
    project.promote(project.put(TEXT))
    edit(project, old, new)
    with pytest.raises(AlteredFileError, match=message) as caught:
        read_active(project.store)
    found = caught.value.diagnostics[0]
    assert found.file == "artifacts/route-ticket/active.yaml"
    assert found.line == line


def test_conflict_markers_get_a_hint_about_branches(project: Project) -> None:
    project.promote(project.put(TEXT))
    edit(project, "compiled_id:", "<<<<<<< HEAD\ncompiled_id:")
    with pytest.raises(AlteredError) as caught:
        read_active(project.store)
    assert "two branches moved this pointer" in str(caught.value.hint)


def test_a_dangling_pointer_is_refused_at_the_line_that_dangles(project: Project) -> None:
    target = project.put(TEXT)
    project.promote(target)
    assert target.artifact
    (project.store.folder / target.artifact).unlink()
    with pytest.raises(AlteredError, match=r"active\.yaml:7: the pointer dangles"):
        active_policy(project.store, make_signature())


def test_a_dangling_link_is_not_the_authored_policy(project: Project) -> None:
    project.store.folder.mkdir(parents=True)
    project.store.active_file.symlink_to("nowhere")
    with pytest.raises(AlteredError, match="a link stands"):
        read_active(project.store)


def test_evidence_changed_in_the_active_artifact_is_seen_by_its_digest(project: Project) -> None:
    target = project.put(TEXT)
    project.promote(target)
    assert target.artifact
    path = project.store.folder / target.artifact
    path.write_text(path.read_text().replace('"mean": 0.5', '"mean": 0.9', 1))
    with pytest.raises(AlteredError, match="digest"):
        read_active(project.store)


def test_a_pointer_to_another_good_artifact_is_refused(project: Project) -> None:
    one, two = project.put("one"), project.put("two")
    project.promote(one)
    assert one.artifact
    assert two.artifact
    edit(project, one.artifact, two.artifact)
    with pytest.raises(AlteredError):
        read_active(project.store)


def test_a_stale_active_policy_does_not_serve(project: Project) -> None:
    project.promote(project.put(TEXT))
    with pytest.raises(StaleError, match="the output schema changed"):
        active_policy(project.store, make_signature(output={"queue": "string"}))


def test_a_move_from_elsewhere_than_expected_is_refused_and_changes_nothing(
    project: Project,
) -> None:
    one, two = project.put("one"), project.put("two")
    project.promote(one)
    before = project.tree()
    for expected in (None, two.compiled_id):
        with pytest.raises(PointerMovedError, match="measured against"):
            move_pointer(project.store, expected, two, make_record("promote", two))
    assert project.tree() == before


def test_a_gate_that_miscounts_its_look_may_not_promote(project: Project) -> None:
    one = project.put("one")
    append(project.store, make_record("refuse", one, gate=make_gate(1)))
    record = make_record("promote", one, gate=make_gate(1))
    with pytest.raises(PointerMovedError, match="1 looks are recorded"):
        move_pointer(project.store, None, one, record)
    move_pointer(project.store, None, one, make_record("promote", one, gate=make_gate(2)))
    assert project.current == one.compiled_id


def test_the_record_says_where_the_pointer_really_was(project: Project) -> None:
    one, two = project.put("one"), project.put("two")
    project.promote(one)
    assert project.promote(two).source == one


def test_a_record_about_another_policy_is_a_bug_and_is_refused(project: Project) -> None:
    one, two = project.put("one"), project.put("two")
    with pytest.raises(ValueError, match="not about this move"):
        move_pointer(project.store, None, one, make_record("promote", two))


def test_a_target_that_is_not_what_was_measured_is_refused(project: Project) -> None:
    one = project.put("one")
    forged = one.model_copy(update={"artifact_digest": "sha256:" + "0" * 64})
    with pytest.raises(AlteredError, match="not the one recorded"):
        move_pointer(project.store, None, forged, make_record("promote", forged))
    assert read_history(project.store) == ()


def test_promoting_the_active_policy_again_leaves_the_pointer_file_untouched(
    project: Project,
) -> None:
    one = project.put("one")
    project.promote(one)
    os.utime(project.store.active_file, ns=(1, 1))
    project.promote(one)
    assert project.store.active_file.stat().st_mtime_ns == 1


# --- stops of the machine -----------------------------------------------------------------------

CALLS = ("fsync", "replace", "unlink", "mkdir", "open")


def count_calls(work: Callable[[], Any], action: Callable[[int], None]) -> int:
    """Run ``work`` with ``action(n)`` before the n-th os call that changes the disk; return n."""
    seen = 0
    real = {name: getattr(os, name) for name in CALLS}

    def wrapped(name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            action(seen)
            return real[name](*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, wrapped(name))
        work()
    return seen


def killed_at(step: int, work: Callable[[], Any]) -> int:
    """Run ``work`` in a process that dies at a step as by kill -9; return its exit code."""

    def child() -> None:
        count_calls(work, lambda seen: os._exit(9) if seen == step else None)
        os._exit(0)

    process = FORK.Process(target=child)
    process.start()
    process.join()
    return process.exitcode or 0


@pytest.mark.parametrize("event", ["promote", "rollback", "rollback to authored"])
def test_killed_at_any_step_the_old_policy_or_the_new_one_serves_and_the_move_can_be_finished(
    tmp_path: Path, event: str
) -> None:
    outcomes = set()
    for step in range(1, 100):
        project = make_project(tmp_path / str(step))
        one, two = project.put("one"), project.put("two")
        project.promote(one)
        if event == "rollback":
            project.promote(two)
        before = project.current
        work = partial(project.promote, two) if event == "promote" else project.rollback
        after = {"promote": two, "rollback": one}.get(event)
        expected = after.compiled_id if after else None
        code = killed_at(step, work)
        recorded = len(read_history(project.store)) > (2 if event == "rollback" else 1)
        assert project.current in {before, expected}
        assert recorded or project.current == before
        cut_off = recorded and project.current == before
        codes = {found.code for found in findings(project)}
        assert codes == ({"interrupted-move"} if cut_off else set())
        assert recover(project.store) is cut_off
        assert project.current == (expected if recorded else before)
        assert findings(project) == []
        outcomes.add((recorded, cut_off))
        if code == 0:
            break
    assert code == 0
    # Before the record, between record and pointer, after both: every case was met.
    assert outcomes == {(False, False), (True, True), (True, False)}


def test_a_full_disk_at_any_step_is_an_error_and_never_half_a_move(tmp_path: Path) -> None:
    failures = 0
    for step in range(1, 100):
        project = make_project(tmp_path / str(step))
        one, two = project.put("one"), project.put("two")
        project.promote(one)

        def full(seen: int, step: int = step) -> None:
            if seen == step:
                raise OSError(28, "No space left on device")

        total = step
        try:
            total = count_calls(partial(project.promote, two), full)
        except InfrastructureError:
            failures += 1
        recover(project.store)
        assert project.current in {one.compiled_id, two.compiled_id}
        assert findings(project) == []
        if total < step:
            break
    assert total < step
    assert failures >= 5


def test_the_next_move_first_finishes_the_one_that_was_cut_off(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = project.put("one"), project.put("two"), project.put("three")
    project.promote(one)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("dse_cli.registry.pointer.write_atomic", stop)
        with pytest.raises(KeyboardInterrupt):
            project.promote(two)
    assert project.current == one.compiled_id
    with pytest.raises(PointerMovedError):
        move_pointer(project.store, one.compiled_id, three, make_record("promote", three))
    assert project.current == two.compiled_id


def test_a_pointer_put_elsewhere_by_hand_is_not_completed_but_refused(project: Project) -> None:
    one, two, three = project.put("one"), project.put("two"), project.put("three")
    project.promote(one)
    first = project.store.active_file.read_bytes()
    project.promote(two)
    project.promote(three)
    project.store.active_file.write_bytes(first)
    with pytest.raises(AlteredError, match=r"the history of route-ticket ends at"):
        recover(project.store)
    with pytest.raises(AlteredError):
        project.promote(two)
    assert project.store.active_file.read_bytes() == first


def test_a_pointer_without_any_history_is_refused(project: Project) -> None:
    project.promote(project.put("one"))
    for path in project.store.history_folder.iterdir():
        path.unlink()
    with pytest.raises(AlteredError, match="ends at the authored policy"):
        project.promote(project.put("two"))


# --- competitors --------------------------------------------------------------------------------


def compete(root: Path, target: PolicyRef, gate: Any, results: Any) -> None:
    project = make_project(root)
    gate.wait()
    try:
        move_pointer(project.store, None, target, make_record("promote", target))
    except PointerMovedError:
        results.put(("moved", target.compiled_id))
    else:
        results.put(("won", target.compiled_id))


def test_of_several_promoters_at_once_one_wins_and_the_others_are_told(project: Project) -> None:
    targets = [project.put(f"candidate {number}") for number in range(4)]
    gate, results = FORK.Barrier(len(targets)), FORK.Queue()
    processes = [
        FORK.Process(target=compete, args=(project.root, target, gate, results))
        for target in targets
    ]
    for process in processes:
        process.start()
    answers = [results.get(timeout=20) for _ in processes]
    for process in processes:
        process.join()
    winners = [identifier for word, identifier in answers if word == "won"]
    assert winners == [project.current]
    assert len(read_history(project.store)) == 1
    assert findings(project) == []


def refuse(root: Path, gate: Any) -> None:
    project = make_project(root)
    gate.wait()
    for _ in range(3):
        append(project.store, make_record("refuse", None))


def test_records_appended_at_once_form_one_chain(project: Project) -> None:
    gate = FORK.Barrier(3)
    processes = [FORK.Process(target=refuse, args=(project.root, gate)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert [record.sequence for record in read_history(project.store)] == list(range(1, 10))
