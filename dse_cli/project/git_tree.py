"""The files of a project as they stood at a git revision; the working tree is not touched.

Blobs are read as git stores them (``git cat-file``): no checkout filter, no attribute and no hook
of the repository runs. Links and submodules are left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_TIMEOUT_S: Final = 60.0
_REGULAR: Final = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class GitTree:
    """A project at a revision.

    Attributes:
        root: the project root now.
        revision: as typed.
        commit: full hash.
        blobs: git's object id of every regular file, by path relative to the project root.
    """

    root: Path
    revision: str
    commit: str
    blobs: Mapping[str, str]

    def export(self, paths: Iterable[str], folder: Path) -> None:
        """Write files below ``folder``, bytes as committed.

        Args:
            paths: keys of ``blobs``.
            folder: exists; outside the project.
        """
        wanted = sorted(set(paths))
        found = self._read([self.blobs[path] for path in wanted])
        for path, data in zip(wanted, found, strict=True):
            target = folder.joinpath(*PurePosixPath(path).parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def _read(self, ids: list[str]) -> list[bytes]:
        stdin = "".join(f"{identifier}\n" for identifier in ids).encode()
        output = _git(self.root, "cat-file", "--batch", stdin=stdin)
        found: list[bytes] = []
        at = 0
        for _ in ids:
            # "<id> blob <size>\n<bytes>\n"
            end = output.index(b"\n", at)
            size = int(output[at:end].split()[2])
            found.append(output[end + 1 : end + 1 + size])
            at = end + size + 2
        return found


def tree_at(root: Path, revision: str) -> GitTree:
    """Return the tree of the project at a revision.

    Raises:
        UsageError: no git, no repository, or no such revision.
    """
    if not revision or revision.startswith("-"):
        raise UsageError(f"{revision!r} is not a git revision")
    _git(root, "rev-parse", "--git-dir")
    asked = f"{revision}^{{commit}}"
    found = _git(root, "rev-parse", "--verify", "--quiet", asked, refused=b"")
    if not found:
        raise UsageError(
            f"git knows no revision {revision!r}",
            hint="fetch it first; a CI checkout is often shallow "
            "(GitHub: actions/checkout with fetch-depth: 0)",
        )
    commit = found.decode().strip()
    listed = _git(root, "ls-tree", "-r", "-z", commit).decode("utf-8", "surrogateescape")
    blobs: dict[str, str] = {}
    for entry in filter(None, listed.split("\0")):
        facts, path = entry.split("\t", 1)
        mode, kind, identifier = facts.split()
        # Git itself never writes '..' into a tree; whoever made this one might.
        is_inside = not {"", ".", ".."} & set(path.split("/"))
        if kind == "blob" and mode in _REGULAR and is_inside:
            blobs[path] = identifier
    return GitTree(root, revision, commit, blobs)


def _git(root: Path, *args: str, stdin: bytes = b"", refused: bytes | None = None) -> bytes:
    """Run git in the project root and return what it prints.

    Args:
        refused: what to return when git ends with an error; None raises.
    """
    import shutil
    import subprocess

    program = shutil.which("git")
    if program is None:
        raise UsageError("reading a revision needs git, and there is no git on the PATH")
    environ = {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(  # noqa: S603 - no shell; a revision never starts with '-'
            [program, "-C", str(root), *args],
            input=stdin,
            capture_output=True,
            env=environ,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"git {args[0]} did not work: {error}") from error
    if done.returncode == 0:
        return done.stdout
    if refused is not None:
        return refused
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise UsageError(
        f"git {args[0]} refused: {lines[0] if lines else 'no reason given'}",
        hint="a revision can be read when the project is in a git repository",
    )
