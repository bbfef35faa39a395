"""Artifacts: written once, and refused when anything about them does not follow from content."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import AlteredError, StaleError, UsageError
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.store import SignatureStore
from tests.registry.builders import Project, make_artifact, make_signature


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.store.folder / name
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def test_an_artifact_comes_back_equal_under_the_name_of_its_hashes(project: Project) -> None:
    artifact = make_artifact()
    name, digest = project.store.put_artifact(artifact)
    assert name == (f"compiled/{artifact.compiled_id[7:19]}-{artifact.provenance.run[7:19]}.json")
    loaded = project.store.load_artifact(name)
    assert loaded == (artifact, digest)
    assert project.store.list_artifacts() == (name,)


def test_writing_the_same_artifact_again_leaves_the_file_untouched(project: Project) -> None:
    name, _ = project.store.put_artifact(make_artifact())
    path = project.store.folder / name
    os.utime(path, ns=(1, 1))
    project.store.put_artifact(make_artifact())
    assert path.stat().st_mtime_ns == 1


def test_the_same_policy_from_another_run_is_a_second_file_with_one_id(project: Project) -> None:
    first, second = project.put("x", run="one"), project.put("x", run="two")
    assert first.compiled_id == second.compiled_id
    assert len(project.store.list_artifacts()) == 2


def test_an_artifact_whose_hashes_do_not_follow_is_not_written(project: Project) -> None:
    artifact = make_artifact().model_copy(update={"compiled_id": "sha256:" + "0" * 64})
    with pytest.raises(AlteredError, match="the policy was altered"):
        project.store.put_artifact(artifact)
    assert project.tree() == {}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"text": "Choose."', '"text": "Obey."', "the params were altered"),
        ('"compiled_id": "sha256:', '"compiled_id": "sha256:0', "compiled_id"),
        ('"seed": 7', '"seed": 7,\n    "speed": 9', "speed"),
        ('"seed": 7', '"seed": "7"', "seed"),
        ('"seed": 7', '"seed": 7,\n    "seed": 8', "given twice|duplicate|twice"),
        ('"seed": 7', '"seed": 7,,', "."),
        ('"seed": 7', '"seed": NaN', "."),
    ],
)
def test_an_edited_artifact_is_refused_with_file_and_line(
    project: Project, old: str, new: str, message: str
) -> None:
    name, _ = project.store.put_artifact(make_artifact())
    edit(project, name, old, new)
    with pytest.raises(AlteredFileError, match=message) as caught:
        project.store.load_artifact(name)
    first = caught.value.diagnostics[0]
    assert first.file == f"artifacts/route-ticket/{name}"
    assert first.line > 1
    assert first.outcome == "altered"
    assert f"{name}:{first.line}:" in caught.value.message


def test_an_edited_hash_inside_does_not_help_a_forger(project: Project) -> None:
    artifact = make_artifact()
    name, _ = project.store.put_artifact(artifact)
    other = make_artifact("Obey.")
    edit(project, name, '"Choose."', '"Obey."')
    edit(project, name, artifact.hashes.params, other.hashes.params)
    with pytest.raises(AlteredError, match="the policy was altered"):
        project.store.load_artifact(name)
    edit(project, name, artifact.compiled_id, other.compiled_id)
    with pytest.raises(AlteredError, match="by its content this file is compiled/"):
        project.store.load_artifact(name)


def test_two_swapped_artifacts_are_both_refused(project: Project) -> None:
    one, two = project.put("one").artifact, project.put("two").artifact
    assert one
    assert two
    first, second = project.store.folder / one, project.store.folder / two
    first_bytes = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(first_bytes)
    for name in (one, two):
        with pytest.raises(AlteredError, match="by its content"):
            project.store.load_artifact(name)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"\x00", b"{" * 10_000])
def test_garbage_is_refused_with_a_message(project: Project, content: bytes) -> None:
    name, _ = project.store.put_artifact(make_artifact())
    (project.store.folder / name).write_bytes(content)
    with pytest.raises(AlteredError):
        project.store.load_artifact(name)


def test_a_missing_artifact_a_folder_and_a_link_are_refused(project: Project) -> None:
    name, _ = project.store.put_artifact(make_artifact())
    path = project.store.folder / name
    path.rename(path.with_name("elsewhere"))
    with pytest.raises(AlteredError, match="does not exist"):
        project.store.load_artifact(name)
    path.symlink_to(path.with_name("elsewhere"))
    with pytest.raises(AlteredError, match="a link stands"):
        project.store.load_artifact(name)
    path.unlink()
    path.mkdir()
    with pytest.raises(AlteredError, match="regular file"):
        project.store.load_artifact(name)


@pytest.mark.parametrize("name", ["../x.json", "compiled/../../x.json", "compiled/x.json", ""])
def test_a_name_that_is_no_artifacts_is_never_opened(project: Project, name: str) -> None:
    with pytest.raises(AlteredError, match="not the name of an artifact"):
        project.store.load_artifact(name)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"input": {"ticket": "string", "lang": "string"}}, "the input schema changed"),
        ({"output": {"queue": "string"}}, "the output schema changed"),
        ({"prompt": [{"instruction": "Other."}]}, "the prompt changed"),
        (
            {"input": {"x": "string"}, "prompt": [{"instruction": "Other."}]},
            "the input schema and the prompt changed",
        ),
        ({"id": "@acme/support/RouteTicket.v2"}, "signature id"),
    ],
)
def test_a_changed_signature_makes_the_artifact_stale_and_says_what_changed(
    project: Project, changes: dict[str, Any], what: str
) -> None:
    name, _ = project.store.put_artifact(make_artifact())
    with pytest.raises(StaleError, match=what):
        project.store.load_artifact_for(name, make_signature(**changes))


def test_a_changed_description_makes_nothing_stale(project: Project) -> None:
    artifact = make_artifact()
    name, _ = project.store.put_artifact(artifact)
    signature = make_signature(description="Other words.")
    assert project.store.load_artifact_for(name, signature).artifact == artifact


def test_an_artifact_is_found_by_its_name_its_id_and_its_run(project: Project) -> None:
    artifact = make_artifact("one")
    name, _ = project.store.put_artifact(artifact)
    project.put("two")
    stem = name.removeprefix("compiled/").removesuffix(".json")
    for written in (
        name,
        stem,
        f"{stem}.json",
        artifact.compiled_id,
        artifact.compiled_id[7:15],
        artifact.compiled_id[7:30].upper(),
        artifact.provenance.run[:20],
        artifact.provenance.run[7:17],
    ):
        assert project.store.resolve(written) == name


def test_a_prefix_of_two_artifacts_is_an_error_that_lists_both(project: Project) -> None:
    first, second = project.put("x", run="one"), project.put("x", run="two")
    with pytest.raises(UsageError) as caught:
        project.store.resolve(first.compiled_id)
    for artifact in (first.artifact, second.artifact):
        assert artifact
        assert artifact in caught.value.message


def test_an_unknown_prefix_offers_the_nearest_artifact(project: Project) -> None:
    artifact = make_artifact()
    name, _ = project.store.put_artifact(artifact)
    digits = artifact.compiled_id[7:19]
    typo = digits[:5] + ("0" if digits[5] != "0" else "1") + digits[6:]
    with pytest.raises(UsageError) as caught:
        project.store.resolve(typo)
    assert caught.value.hint == f"did you mean {digits} ({name})?"


def test_a_full_id_that_only_shares_its_first_digits_is_not_taken(project: Project) -> None:
    artifact = make_artifact()
    project.store.put_artifact(artifact)
    last = "0" if artifact.compiled_id[-1] != "0" else "1"
    with pytest.raises(UsageError, match="no artifact"):
        project.store.resolve(artifact.compiled_id[:-1] + last)


@pytest.mark.parametrize("written", ["", "abc", "zzzz", "../.."])
def test_what_is_no_hash_gets_a_hint(project: Project, written: str) -> None:
    project.put("x")
    with pytest.raises(UsageError) as caught:
        project.store.resolve(written)
    assert "give its name or at least 4 digits" in str(caught.value.hint)


def test_an_empty_store_says_how_to_make_an_artifact(tmp_path: Path) -> None:
    store = SignatureStore(tmp_path / "artifacts" / "x", tmp_path / "locks")
    with pytest.raises(UsageError) as caught:
        store.resolve("abcd")
    assert "dse compile" in str(caught.value.hint)
