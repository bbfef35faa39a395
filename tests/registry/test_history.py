"""History: a chain in which no record can be changed, dropped or put in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.canonical import sha256_of_bytes, sha256_of_text
from dse_cli.contracts.errors import AlteredError, UsageError
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.registry.documents import load_contract
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.history import (
    append,
    looks,
    previous_promoted,
    read_history,
    record_digest,
    standing_record,
    standing_target,
)
from dse_cli.registry.pointer import move_pointer, read_active
from tests.registry.builders import HASH, Project, make_gate, make_record


def names(project: Project) -> list[str]:
    return sorted(path.name for path in project.store.history_folder.iterdir())


def three_records(project: Project) -> list[str]:
    one, two = project.put("one"), project.put("two")
    project.promote(one)
    append(project.store, make_record("refuse", two, gate=make_gate()))
    project.promote(two)
    return names(project)


def test_records_are_numbered_named_and_chained(project: Project) -> None:
    files = three_records(project)
    history = read_history(project.store)
    assert [record.sequence for record in history] == [1, 2, 3]
    assert [name.split("-")[1] for name in files] == ["promote", "refuse", "promote"]
    assert history[0].previous is None
    for before, record in zip(files[:-1], history[1:], strict=True):
        data = (project.store.history_folder / before).read_bytes()
        assert record.previous == sha256_of_bytes(data)


def test_an_empty_history_is_empty(project: Project) -> None:
    assert read_history(project.store) == ()


def test_a_changed_record_breaks_the_chain_behind_it(project: Project) -> None:
    first, second, _ = three_records(project)
    path = project.store.history_folder / first
    path.write_text(path.read_text().replace('"reason": null', '"reason": "because"'))
    with pytest.raises(AlteredFileError, match="the chain is broken") as caught:
        read_history(project.store)
    assert caught.value.diagnostics[0].file.endswith(second)


def test_a_dropped_record_is_missed(project: Project) -> None:
    _, second, third = three_records(project)
    (project.store.history_folder / second).unlink()
    with pytest.raises(AlteredError, match=rf"{third}:\d+: record 2 is missing"):
        read_history(project.store)


def test_a_renamed_record_is_refused(project: Project) -> None:
    first, _, _ = three_records(project)
    path = project.store.history_folder / first
    path.rename(path.with_name(first.replace("promote", "rollback")))
    with pytest.raises(AlteredError, match="by its content this file is"):
        read_history(project.store)


def test_two_branches_that_recorded_the_same_number_are_told_apart(project: Project) -> None:
    _, _, third = three_records(project)
    path = project.store.history_folder / third
    path.with_name("0003-promote-ffffffffffff.json").write_bytes(path.read_bytes())
    with pytest.raises(AlteredError, match="two records have the number 3"):
        read_history(project.store)


def test_a_foreign_file_is_refused_and_a_hidden_one_is_not(project: Project) -> None:
    three_records(project)
    (project.store.history_folder / ".dse-00.tmp").write_bytes(b"{")
    assert len(read_history(project.store)) == 3
    (project.store.history_folder / "notes.txt").write_bytes(b"")
    with pytest.raises(AlteredError, match=r"notes\.txt: this is not the name"):
        read_history(project.store)


def test_nothing_is_added_to_a_broken_chain(project: Project) -> None:
    first, *_ = three_records(project)
    (project.store.history_folder / first).unlink()
    before = project.tree()
    with pytest.raises(AlteredError):
        append(project.store, make_record("refuse", None))
    assert project.tree() == before


def test_append_refuses_an_event_that_moves_the_pointer(project: Project) -> None:
    with pytest.raises(ValueError, match="moves the pointer"):
        append(project.store, make_record("rollback", None))


def test_looks_are_counted_by_the_rows_that_were_looked_at(project: Project) -> None:
    one = project.put("one")
    other = sha256_of_text("other rows")
    append(project.store, make_record("refuse", one, gate=make_gate(1)))
    append(project.store, make_record("refuse", one))
    append(project.store, make_record("refuse", one, gate=make_gate(1, other)))
    append(project.store, make_record("refuse", one, gate=make_gate(2)))
    history = read_history(project.store)
    assert (looks(history, HASH), looks(history, other), looks(history, "sha256:")) == (2, 1, 0)


def test_a_rollback_goes_down_the_promotions_and_never_to_and_fro(project: Project) -> None:
    a, b = project.put("a"), project.put("b")
    project.promote(a)
    project.promote(b)
    project.rollback()
    assert project.current == a.compiled_id
    project.rollback()
    assert read_active(project.store) is None
    assert not project.store.active_file.exists()
    with pytest.raises(UsageError, match="nothing to roll back to"):
        previous_promoted(read_history(project.store))
    assert [record.event for record in read_history(project.store)] == [
        "promote", "promote", "rollback", "rollback",
    ]  # fmt: skip


def test_a_promotion_after_a_rollback_stands_on_what_was_rolled_back_to(project: Project) -> None:
    a, b, c = project.put("a"), project.put("b"), project.put("c")
    for policy in (a, b):
        project.promote(policy)
    project.rollback()
    project.promote(c)
    append(project.store, make_record("refuse", b))
    assert previous_promoted(read_history(project.store)) == a
    project.rollback()
    assert project.current == a.compiled_id


def test_a_policy_promoted_twice_is_rolled_back_twice(project: Project) -> None:
    a, b = project.put("a"), project.put("b")
    for policy in (a, b, a):
        project.promote(policy)
    seen = []
    while project.current:
        project.rollback()
        seen.append(project.current)
    assert seen == [b.compiled_id, a.compiled_id, None]


def test_rolling_back_restores_the_bytes_of_the_pointer(project: Project) -> None:
    a, b = project.put("a"), project.put("b")
    project.promote(a)
    before = project.store.active_file.read_bytes()
    project.promote(b)
    project.rollback()
    assert project.store.active_file.read_bytes() == before


def test_a_rollback_to_the_authored_policy_may_name_its_id(project: Project) -> None:
    project.promote(project.put("a"))
    authored = PolicyRef(compiled_id=HASH, artifact=None, artifact_digest=None)
    record = make_record("rollback", authored)
    written = move_pointer(project.store, project.current, None, record)
    assert names(project)[-1] == f"0002-rollback-{HASH[7:19]}.json"
    assert written.target == authored
    assert read_active(project.store) is None


def test_newer_evidence_replaces_the_top_and_a_rollback_goes_below_it(project: Project) -> None:
    a, b = project.put("a"), project.put("b")
    newer = project.put("b", run="later")
    assert newer.compiled_id == b.compiled_id
    project.promote(a)
    promotion = project.promote(b)
    move_pointer(project.store, b.compiled_id, newer, make_record("refresh", newer))
    history = read_history(project.store)
    assert standing_target(history) == newer
    assert standing_record(history) == promotion
    assert previous_promoted(history) == a
    project.rollback()
    assert project.current == a.compiled_id


def test_a_record_that_joins_nothing_may_not_say_so(project: Project) -> None:
    project.promote(project.put("a"))
    (name,) = names(project)
    path = project.store.history_folder / name
    path.rename(path.with_name(name.replace("promote", "resolve")))
    path = path.with_name(name.replace("promote", "resolve"))
    path.write_text(path.read_text().replace('"event": "promote"', '"event": "resolve"'))
    with pytest.raises(AlteredError, match="a resolve joins two branches"):
        read_history(project.store)


COMMITTED = sorted((Path(__file__).parents[2] / "artifacts").glob("*/history/*.json"))


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parents[1].name)
def test_a_committed_record_is_the_same_bytes_when_it_is_written_again(path: Path) -> None:
    loaded = load_contract(path, HistoryRecord, name=path.name)
    assert record_digest(loaded.value) == loaded.digest


def test_an_edit_of_the_last_record_is_found(project: Project) -> None:
    last = project.store.history_folder / three_records(project)[-1]
    last.write_text(last.read_text().replace('"reason": null', '"reason": "the board agreed"'))
    with pytest.raises(AlteredFileError, match="its own digest"):
        read_history(project.store)
