"""``dse check`` of a store: everything is found, and nothing on the disk makes it raise."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from dse_cli.contracts.history import PolicyRef
from dse_cli.registry.history import append
from dse_cli.registry.receipts import put_receipt
from dse_cli.registry.verify import verify_store
from tests.registry.builders import (
    FILES,
    Project,
    make_artifact,
    make_gate,
    make_receipt,
    make_record,
    make_signature,
)


@pytest.fixture
def full(project: Project) -> Project:
    """Two runs with receipts, two promotions and a refusal."""
    for text in ("one\nline", "two\nlines"):
        artifact = make_artifact(text)
        put_receipt(
            project.store,
            artifact.provenance.run,
            make_receipt(artifact),
            calls=FILES.calls,
            texts=FILES.texts,
            report_md=FILES.report,
            artifact=artifact,
        )
        project.promote(project.put(text))
    append(project.store, make_record("refuse", None, gate=make_gate()))
    return project


def codes(project: Project, **changes: object) -> set[tuple[str, str]]:
    found = verify_store(project.store, make_signature(**changes))
    return {(finding.code, finding.severity) for finding in found}


def artifact_path(project: Project, text: str) -> Path:
    return project.store.folder / project.store.artifact_name(make_artifact(text))


def test_a_good_store_and_an_empty_one_have_no_findings(full: Project, tmp_path: Path) -> None:
    assert codes(full) == set()
    assert codes(Project(type(full.store)(tmp_path / "a" / "b", tmp_path), tmp_path)) == set()


def test_a_stale_artifact_warns_and_a_stale_active_policy_is_an_error(full: Project) -> None:
    found = verify_store(full.store, make_signature(output={"queue": "string"}))
    by_file = {finding.file.rsplit("/", 1)[-1]: finding for finding in found}
    active = by_file["signature.yaml"]
    other = by_file[artifact_path(full, "one\nline").name]
    assert (active.severity, active.outcome, active.code) == ("error", "stale", "stale")
    assert (other.severity, other.outcome) == ("warning", "stale")
    assert "the output schema changed" in active.message
    assert artifact_path(full, "two\nlines").name in active.message, "which one is in the message"


def test_a_stale_artifact_that_a_job_pins_is_not_to_be_deleted(full: Project) -> None:
    name = full.store.artifact_name(make_artifact("one\nline"))
    pins = {name: "signatures/reply/compile.yaml:9"}
    found = verify_store(full.store, make_signature(output={"queue": "string"}), pins)
    (judge,) = [one for one in found if one.severity == "warning"]
    assert judge.file.endswith("/signature.yaml")
    assert judge.message.startswith("a pinned artifact is stale: ")
    assert judge.hint is not None
    assert "put the new id at signatures/reply/compile.yaml:9" in judge.hint
    assert "delete" not in judge.hint


def test_without_a_readable_signature_staleness_is_not_judged(full: Project) -> None:
    assert verify_store(full.store, None) == []


def test_an_edited_policy_is_found_at_its_line(full: Project) -> None:
    path = full.store.active_file
    path.write_text(path.read_text().replace("lines", "words"))
    found = verify_store(full.store, make_signature())
    assert [(finding.code, finding.outcome) for finding in found] == [("policy-edited", "altered")]
    assert found[0].hint is not None
    assert f"'git checkout -- {full.store.shown('active.yaml')}' restores it" in found[0].hint
    assert "compile.yaml: then compile and promote" in found[0].hint
    assert found[0].source is not None
    assert "words" in found[0].source


def test_an_edited_comment_is_a_warning(full: Project) -> None:
    path = full.store.active_file
    path.write_text(path.read_text() + "# looks good to me\n")
    assert codes(full) == {("active-formatting", "warning")}


def test_a_pointer_put_back_by_hand_is_found(full: Project) -> None:
    full.store.active_file.unlink()
    assert codes(full) == {("pointer-history", "error")}


def test_an_altered_artifact_is_found_once_and_with_its_receipt_and_pointer(full: Project) -> None:
    path = artifact_path(full, "two\nlines")
    path.write_text(path.read_text().replace('"mean": 0.5', '"mean": 1', 1))
    assert codes(full) == {("artifact-digest", "error"), ("receipt-subject", "error")}


def test_a_promoted_artifact_that_is_gone_is_a_warning_unless_it_is_active(full: Project) -> None:
    artifact_path(full, "one\nline").unlink()
    assert ("missing-artifact", "warning") in codes(full)
    assert ("dangling-pointer", "error") not in codes(full)
    artifact_path(full, "two\nlines").unlink()
    assert ("dangling-pointer", "error") in codes(full)


def test_an_incomplete_run_and_foreign_files_are_warnings(full: Project) -> None:
    (full.store.receipts_folder / "abcdefabcdef").mkdir()
    (full.store.receipts_folder / "notes").write_text("")
    (full.store.folder / "compiled" / "copy.json").write_text("{}")
    assert codes(full) == {("incomplete-run", "warning"), ("unexpected-file", "warning")}


def test_folders_where_files_should_be_and_files_where_folders_should_be_are_found(
    full: Project,
) -> None:
    shutil.rmtree(full.store.history_folder)
    full.store.history_folder.write_text("")
    full.store.active_file.unlink()
    full.store.active_file.mkdir()
    assert ("not-a-file", "error") in codes(full)


def test_no_damage_to_any_file_makes_it_raise_or_goes_unseen(full: Project) -> None:
    """Every file, damaged in several ways: emptied, cut, one byte changed, garbage, removed.

    A receipt and the last record are anchored by no hash inside the store, only by git: there a
    changed byte can go unseen, and the last refusal can be removed.
    """
    chance = random.Random(7)
    for relative, data in sorted(full.tree().items()):
        path = full.root / relative
        place = chance.randrange(len(data))
        flipped = bytearray(data)
        flipped[place] ^= 1 << chance.randrange(8)
        damages: list[bytes | None] = [
            b"",
            data[: len(data) // 2],
            bytes(flipped),
            b"\x00\xff",
            b"[" * 2000,
            None,
        ]
        for damage in damages:
            if damage is None:
                path.unlink()
            else:
                path.write_bytes(damage)
            found = verify_store(full.store, make_signature())
            is_last = relative.endswith("0003-refuse-000000000000.json")
            loose = is_last or relative.endswith("receipt.json")
            unseen: list[bytes | None] = [bytes(flipped)] if loose else []
            unseen += [None] if is_last else []
            assert found or damage in unseen, (relative, damage)
            path.write_bytes(data)
    assert codes(full) == set()


def test_findings_come_in_the_order_of_files(full: Project) -> None:
    for path in (artifact_path(full, "one\nline"), full.store.active_file):
        path.write_bytes(b"")
    files = [finding.file for finding in verify_store(full.store, make_signature())]
    assert files == sorted(files)
    assert len(set(files)) >= 2


def test_a_promoted_artifact_replaced_by_another_version_is_found(full: Project) -> None:
    ref = PolicyRef.model_validate(
        {
            "compiled_id": make_artifact("one\nline").compiled_id,
            "artifact": full.store.artifact_name(make_artifact("one\nline")),
            "artifact_digest": None,
        }
    )
    assert ref.artifact
    path = full.store.folder / ref.artifact
    path.write_bytes(path.read_bytes() + b"\n")
    assert codes(full) == {("artifact-digest", "error"), ("receipt-subject", "error")}


def test_an_artifact_without_its_receipt_is_an_error(full: Project) -> None:
    folder = next(full.store.receipts_folder.iterdir())
    shutil.rmtree(folder)
    (found,) = verify_store(full.store, make_signature())
    assert (found.code, found.severity, found.outcome) == ("missing-receipt", "error", "altered")
    assert f"receipts/{folder.name}" in found.message
    assert "git" in (found.hint or "")


def test_a_receipt_without_its_artifact_says_which_file_to_restore(full: Project) -> None:
    artifact_path(full, "one\nline").unlink()
    hints = [found.hint or "" for found in verify_store(full.store, make_signature())]
    assert any("compiled/*-" in hint for hint in hints)


def test_many_stale_artifacts_that_are_not_active_are_one_warning(full: Project) -> None:
    for number in range(3):
        full.put(f"text {number}")
    found = verify_store(full.store, make_signature(output={"queue": "string"}))
    stale = [finding for finding in found if finding.code == "stale"]
    assert sorted(finding.severity for finding in stale) == ["error", "warning"]
    (folded,) = [finding for finding in stale if finding.severity == "warning"]
    assert folded.message.startswith("4 artifacts are stale, none of them active")


def test_a_half_written_file_of_a_killed_process_is_a_warning(full: Project) -> None:
    half = full.store.folder / "history" / ".dse-0011223344556677.tmp"
    half.write_text("half")
    assert codes(full) == set()  # somebody may be writing it
    os.utime(half, (0, 0))
    assert codes(full) == {("leftover", "warning")}
