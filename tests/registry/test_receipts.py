"""Receipts: last of a run's files, found by prefix, and checked against all of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dse_cli.contracts.artifact import CompiledArtifact
from dse_cli.contracts.errors import AlteredError, UsageError
from dse_cli.registry.receipts import find_run, list_runs, load_receipt, put_receipt
from dse_cli.registry.store import SignatureStore
from tests.registry.builders import FILES, Project, make_artifact, make_receipt


def put(project: Project, artifact: CompiledArtifact, calls: bytes = FILES.calls) -> str:
    return put_receipt(
        project.store,
        artifact.provenance.run,
        make_receipt(artifact),
        calls=calls,
        texts=FILES.texts,
        report_md=FILES.report,
        artifact=artifact,
    )


def test_a_run_comes_back_as_it_was_written(project: Project) -> None:
    artifact = make_artifact()
    folder = put(project, artifact)
    run = artifact.provenance.run
    assert folder == f"receipts/{run[7:19]}"
    assert list_runs(project.store) == (run[7:19],)
    for written in (run, run[7:12], run[7:19], folder):
        loaded = load_receipt(project.store, written)
        assert loaded == (make_receipt(artifact), FILES.calls, FILES.texts)
    assert (
        '"_type": "https://in-toto.io/Statement/v1"'
        in (project.store.folder / folder / "receipt.json").read_text()
    )


def test_writing_a_run_again_leaves_every_file_untouched(project: Project) -> None:
    artifact = make_artifact()
    put(project, artifact)
    files = [path for path in project.store.folder.rglob("*") if path.is_file()]
    for path in files:
        os.utime(path, ns=(1, 1))
    put(project, artifact)
    assert {path.stat().st_mtime_ns for path in files} == {1}
    assert len(files) == 5


def test_a_receipt_that_does_not_describe_its_files_writes_nothing(project: Project) -> None:
    with pytest.raises(AlteredError, match=r"calls\.jsonl is not the file"):
        put(project, make_artifact(), calls=b"other")
    artifact = make_artifact()
    with pytest.raises(AlteredError, match="not the receipt's subject"):
        put_receipt(
            project.store,
            artifact.provenance.run,
            make_receipt(make_artifact("other")),
            calls=FILES.calls,
            texts=FILES.texts,
            report_md=FILES.report,
            artifact=artifact,
        )
    assert project.tree() == {}


@pytest.mark.parametrize("name", ["calls.jsonl", "texts.jsonl", "report.md"])
def test_an_altered_and_a_missing_file_of_a_run_are_two_errors(project: Project, name: str) -> None:
    folder = project.store.folder / put(project, make_artifact())
    (folder / name).write_bytes(b"other")
    with pytest.raises(AlteredError, match=rf"receipt\.json:\d+: {name} is not the file"):
        load_receipt(project.store, folder.name)
    (folder / name).unlink()
    with pytest.raises(AlteredError, match=rf"{name}: the file does not exist"):
        load_receipt(project.store, folder.name)


def test_swapped_receipts_are_refused(project: Project) -> None:
    one = project.store.folder / put(project, make_artifact("one"))
    two = project.store.folder / put(project, make_artifact("two"))
    third = one.with_name("third")
    one.rename(third)
    two.rename(one)
    third.rename(two)
    for folder in (one, two):
        with pytest.raises(AlteredError, match="not the receipt's subject"):
            load_receipt(project.store, folder.name)


def test_an_artifact_that_is_gone_is_named_by_its_run(project: Project) -> None:
    artifact = make_artifact()
    folder = put(project, artifact)
    (project.store.folder / project.store.artifact_name(artifact)).unlink()
    with pytest.raises(AlteredError, match="there is no artifact of this run"):
        load_receipt(project.store, folder)


@pytest.mark.parametrize("stop_at", [1, 2, 3, 4, 5])
def test_a_stop_before_the_last_file_leaves_a_run_without_a_receipt_that_a_rerun_completes(
    project: Project, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    artifact = make_artifact()
    real, written = os.replace, 0

    def replace(source: Path, target: Path) -> None:
        nonlocal written
        written += 1
        if written == stop_at:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            put(project, artifact)
    assert list_runs(project.store) == ()
    assert len(project.tree()) == stop_at - 1
    put(project, artifact)
    assert list_runs(project.store) == (artifact.provenance.run[7:19],)
    load_receipt(project.store, artifact.provenance.run)


def test_a_receipt_of_another_winner_is_refused(project: Project) -> None:
    folder = project.store.folder / put(project, make_artifact())
    path = folder / "receipt.json"
    other = make_artifact("other").compiled_id
    winner = make_artifact().compiled_id
    path.write_text(path.read_text().replace(f'"winner": "{winner}', f'"winner": "{other}'))
    with pytest.raises(AlteredError, match="the winner is not the policy of the artifact"):
        load_receipt(project.store, folder.name)


def test_a_run_is_found_over_all_signatures(project: Project) -> None:
    artifact = make_artifact()
    put(project, artifact)
    locks = project.store.lock_folder
    other = Project(SignatureStore(project.root / "artifacts" / "other", locks), project.root)
    second = make_artifact(run="other")
    put(other, second)
    (project.root / "artifacts" / "README.md").write_text("")
    found = find_run(project.root / "artifacts", second.provenance.run[:20], lock_folder=locks)
    assert (found.store.name, found.run) == ("other", second.provenance.run[7:19])
    path = f"artifacts/route-ticket/receipts/{artifact.provenance.run[7:19]}"
    assert find_run(project.root / "artifacts", path, lock_folder=locks).store == project.store
    with pytest.raises(UsageError, match="no run 'ffffffff'"):
        find_run(project.root / "artifacts", "ffffffff", lock_folder=locks)


def test_a_project_without_runs_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_run(tmp_path / "artifacts", "abcd", lock_folder=tmp_path)
    assert "dse compile" in str(caught.value.hint)
