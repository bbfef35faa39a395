from __future__ import annotations

import os
from pathlib import Path

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.project.paths import PathRefusedError, ProjectPaths, confine, find_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "signatures" / "a").mkdir(parents=True)
    (root / "datasets").mkdir()
    (root / "dse.yaml").write_text("dse: project/v1\n", encoding="utf-8")
    (root / "signatures" / "a" / "note.md").write_text("x", encoding="utf-8")
    (tmp_path / "outside.txt").write_text("x", encoding="utf-8")
    return root


@pytest.mark.parametrize(
    "written", ["note.md", "./note.md", "../a/note.md", "../../datasets", "new"]
)
def test_a_path_inside_the_project_is_resolved(root: Path, written: str) -> None:
    base = root / "signatures" / "a"
    assert confine(root, base, written) == (base / written).resolve()


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("//host/share", "absolute"),
        ("~/x", "'~'"),
        ("~root/x", "'~'"),
        ("a\0b", "NUL"),
        ("..\\x", "backslash"),
        ("\\x", "absolute"),
        ("../../../outside.txt", "out of the project"),
        ("../../../project/datasets", "out of the project"),
    ],
)
def test_a_path_that_leads_out_is_refused(root: Path, written: str, why: str) -> None:
    with pytest.raises(PathRefusedError, match=why):
        confine(root, root / "signatures" / "a", written)


def test_a_symbolic_link_out_of_the_project_is_refused(root: Path) -> None:
    base = root / "signatures" / "a"
    (base / "link").symlink_to(root.parent / "outside.txt")
    (base / "folder").symlink_to(root.parent)
    for written in ("link", "folder/outside.txt", "folder"):
        with pytest.raises(PathRefusedError, match="out of the project"):
            confine(root, base, written)


def test_a_symbolic_link_inside_the_project_is_followed(root: Path) -> None:
    base = root / "signatures" / "a"
    (base / "link").symlink_to(base / "note.md")
    assert confine(root, base, "link") == (base / "note.md").resolve()


def test_a_loop_of_links_is_refused(root: Path) -> None:
    base = root / "signatures" / "a"
    (base / "loop").symlink_to(base / "loop")
    with pytest.raises(PathRefusedError):
        confine(root, base, "loop/x")


def test_a_pipe_is_refused(root: Path) -> None:
    os.mkfifo(root / "datasets" / "pipe")
    with pytest.raises(PathRefusedError, match="device"):
        confine(root, root / "datasets", "pipe")


def test_the_root_is_found_upwards(root: Path) -> None:
    assert find_root(root / "signatures" / "a", environ={}) == root.resolve()


def test_an_explicit_project_wins_over_the_variable_and_the_variable_over_the_folder(
    root: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "dse.yaml").write_text("dse: project/v1\n", encoding="utf-8")
    environ = {"DSE_PROJECT": str(other)}
    assert find_root(root, environ=environ) == other.resolve()
    assert find_root(root, explicit=root, environ=environ) == root.resolve()
    assert find_root(other, explicit=root / "dse.yaml", environ={}) == root.resolve()


def test_no_project_is_a_usage_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path, environ={})
    assert caught.value.hint is not None
    assert "dse init" in caught.value.hint


@pytest.mark.parametrize("explicit", ["nowhere", "x\0y"])
def test_a_named_folder_without_a_project_is_a_usage_error(tmp_path: Path, explicit: str) -> None:
    with pytest.raises(UsageError, match="--project"):
        find_root(tmp_path, explicit=tmp_path / explicit, environ={})


def test_the_layout_is_that_of_the_design(root: Path) -> None:
    paths = ProjectPaths(root)
    assert paths.relative(paths.job_file("a")) == "signatures/a/compile.yaml"
    assert paths.relative(paths.job_file("a", "fast")) == "signatures/a/compile.fast.yaml"
    assert paths.relative(paths.pointer("a")) == "artifacts/a/active.yaml"
    assert paths.relative(paths.pointer("a", "canary")) == "artifacts/a/canary.yaml"
    assert paths.relative(root.parent / "outside.txt") == "outside.txt"
