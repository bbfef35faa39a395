from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.project.git_tree import tree_at
from tests.e2e.running import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository" / "project"
    root.mkdir(parents=True)
    (root.parent / "outside.txt").write_text("not of the project")
    (root / "a").mkdir()
    (root / "a" / "text.txt").write_bytes(b"one\r\ntwo\n\n")
    (root / "empty").write_bytes(b"")
    (root / "ä b.bin").write_bytes(bytes(range(256)))
    (root / "link").symlink_to("empty")
    (root / ".gitattributes").write_text("* text=auto eol=crlf export-ignore\n")
    git(root.parent, "init", "-q")
    git(root.parent, "add", "-A")
    git(root.parent, "commit", "-qm", "x")
    return root


def test_a_tree_holds_the_regular_files_of_the_project(repository: Path) -> None:
    tree = tree_at(repository, "HEAD")
    assert sorted(tree.blobs) == [".gitattributes", "a/text.txt", "empty", "ä b.bin"]
    assert tree.commit == git(repository, "rev-parse", "HEAD").strip()
    assert tree.revision == "HEAD"


def test_files_are_exported_as_committed_whatever_attributes_say(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "empty").write_text("changed since, and not committed")
    out = tmp_path / "out"
    out.mkdir()
    tree = tree_at(repository, "HEAD")
    tree.export(["ä b.bin", "empty", "a/text.txt", "empty"], out)
    assert (out / "ä b.bin").read_bytes() == bytes(range(256))
    assert (out / "empty").read_bytes() == b""
    committed = git(repository, "cat-file", "blob", "HEAD:project/a/text.txt")
    assert (out / "a" / "text.txt").read_bytes().decode() == committed
    assert not (out / ".gitattributes").exists()
    tree.export([], out)


def test_branches_tags_and_parents_are_revisions(repository: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "x")
    git(repository, "branch", "feature/one")
    head = tree_at(repository, "HEAD").commit
    for name in ("v1", "feature/one", head[:8]):
        assert tree_at(repository, name).commit == head


@pytest.mark.parametrize("revision", ["", "-x", "--all", "no-such", "HEAD~9", "HEAD:empty", "a b"])
def test_what_is_no_commit_is_refused(repository: Path, revision: str) -> None:
    with pytest.raises(UsageError, match=r"revision"):
        tree_at(repository, revision)


def test_a_folder_outside_git_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"git rev-parse refused: .*not a git repository"):
        tree_at(tmp_path, "HEAD")
