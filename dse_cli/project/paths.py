"""Where things stand in a project, and the rule that nothing in a spec leads out of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

PROJECT_FILE: Final = "dse.yaml"
PROJECT_VARIABLE: Final = "DSE_PROJECT"


class PathRefusedError(ValueError):
    """A path in a spec that may not be followed; the message says why, without the path."""


@dataclass(frozen=True, slots=True)
class ProjectPaths:
    """The layout of DESIGN section 3. ``root`` is resolved; nothing here touches the disk."""

    root: Path

    @property
    def project_file(self) -> Path:
        return self.root / PROJECT_FILE

    @property
    def signatures(self) -> Path:
        return self.root / "signatures"

    @property
    def datasets(self) -> Path:
        return self.root / "datasets"

    @property
    def artifacts(self) -> Path:
        return self.root / "artifacts"

    @property
    def local(self) -> Path:
        """``.dse``: cache, locks, resumable runs; git-ignored."""
        return self.root / ".dse"

    @property
    def locks(self) -> Path:
        return self.local / "locks"

    @property
    def runs(self) -> Path:
        return self.local / "runs"

    @property
    def predictions(self) -> Path:
        """Receipts of single predictions."""
        return self.local / "predict"

    def signature(self, folder: str) -> Path:
        return self.signatures / folder

    def signature_file(self, folder: str) -> Path:
        return self.signatures / folder / "signature.yaml"

    def job_file(self, folder: str, variant: str | None = None) -> Path:
        """``compile.yaml``, or ``compile.<variant>.yaml``."""
        name = "compile.yaml" if variant is None else f"compile.{variant}.yaml"
        return self.signatures / folder / name

    def dataset(self, folder: str) -> Path:
        return self.datasets / folder

    def dataset_file(self, folder: str) -> Path:
        return self.datasets / folder / "dataset.yaml"

    def artifact(self, folder: str) -> Path:
        return self.artifacts / folder

    def pointer(self, folder: str, channel: str = "active") -> Path:
        return self.artifacts / folder / f"{channel}.yaml"

    def compiled(self, folder: str) -> Path:
        return self.artifacts / folder / "compiled"

    def receipts(self, folder: str) -> Path:
        return self.artifacts / folder / "receipts"

    def history(self, folder: str) -> Path:
        return self.artifacts / folder / "history"

    def relative(self, path: Path) -> str:
        """Return a path as diagnostics name it: relative to the root, with forward slashes.

        What lies outside is named by its bare file name.
        """
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return path.name


def confine(root: Path, base: Path, relative: str) -> Path:
    """Return the real path of ``relative`` as written in a spec in folder ``base``.

    Open the returned path, not the written one: symbolic links are already followed.

    Raises:
        PathRefusedError: empty, absolute, with ``~``, NUL or a backslash, out of the project root
            (as written, or through a symbolic link), or neither a file nor a folder.
    """
    if not relative.strip():
        raise PathRefusedError("the path is empty")
    if "\0" in relative:
        raise PathRefusedError("the path contains a NUL character")
    if relative.startswith("~"):
        raise PathRefusedError("'~' is not expanded; paths are relative to this file")
    windows = PureWindowsPath(relative)
    if PurePosixPath(relative).is_absolute() or windows.drive or windows.root:
        raise PathRefusedError("the path is absolute; paths are relative to this file")
    if "\\" in relative:
        raise PathRefusedError("the path contains a backslash; use forward slashes")
    try:
        return _resolved(root.resolve(), base.resolve(), relative)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
        raise PathRefusedError("the path cannot be resolved") from error


def _resolved(root: Path, base: Path, relative: str) -> Path:
    depth = len(base.relative_to(root).parts) if base.is_relative_to(root) else 0
    for part in PurePosixPath(relative).parts:
        # A way out and back in would depend on how the project's folder is called.
        depth += -1 if part == ".." else 1
        if depth < 0:
            raise PathRefusedError("the path leads out of the project")
    target = (base / relative).resolve()
    if not target.is_relative_to(root):
        raise PathRefusedError("the path leads out of the project")
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise PathRefusedError("the path is a device, a pipe or a socket")
    return target


def find_root(
    start: Path,
    *,
    explicit: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> Path:
    """Return the real path of the project root.

    In this order: ``explicit`` (``--project``), the variable DSE_PROJECT, the nearest folder from
    ``start`` upwards that holds ``dse.yaml``.

    Raises:
        UsageError: there is no project.
    """
    environ = os.environ if environ is None else environ
    if explicit is not None:
        return _named_root(Path(explicit), "--project")
    if named := environ.get(PROJECT_VARIABLE):
        return _named_root(Path(named), PROJECT_VARIABLE)
    here = start.resolve()
    for folder in (here, *here.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    raise UsageError(
        f"no {PROJECT_FILE} in this folder or above it",
        hint="run 'dse init' to make a project here, or name one with '--project DIR'",
    )


def _named_root(path: Path, origin: str) -> Path:
    if path.name == PROJECT_FILE:
        path = path.parent
    try:
        found = (path / PROJECT_FILE).is_file()
    except (OSError, ValueError):
        found = False
    if not found:
        raise UsageError(
            f"no {PROJECT_FILE} in {str(path)!r}, which {origin} names",
            hint="run 'dse init' there to make a project",
        )
    return path.resolve()
