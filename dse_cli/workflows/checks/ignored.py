"""``.dse/`` belongs into no commit: it holds the cache, locks, and runs that can be resumed.

Read from the files that git reads inside the repository, without git. What a person ignores for all
of their repositories is not looked at: their colleagues do not have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.registry.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.project.project import Project

NAME: Final = ".gitignore"
LINE: Final = ".dse/"
#: What a killed process leaves beside a file that it was writing.
LEFTOVERS: Final = ".dse-*.tmp"
_SPELLINGS: Final = frozenset(
    {f"{start}.dse{end}" for start in ("", "/", "**/") for end in ("", "/", "/*", "/**")}
)


def unignored_local_folder(project: Project) -> list[Diagnostic]:
    """Return a warning when the project is under git and no line of it ignores ``.dse/``."""
    repository = _repository(project.root)
    if repository is None:
        return []
    folders = [project.root, *project.root.parents]
    files = [folder / NAME for folder in folders[: folders.index(repository) + 1]]
    if any(_ignores(file) for file in [*files, repository / ".git" / "info" / "exclude"]):
        return []
    message = f"no line of it keeps {LINE} (cache, locks, unfinished runs) out of git"
    hint = "'dse check --fix' adds the line"
    return [Diagnostic(NAME, 0, 0, "not-ignored", message, hint, severity="warning")]


def ignore_local_folder(project: Project) -> list[str]:
    """Add what ``dse init`` writes to the end of the project's ``.gitignore``, where it is missing.

    Returns:
        The lines.

    Raises:
        InfrastructureError: the system refuses to write.
    """
    file = project.root / NAME
    before = file.read_bytes() if file.is_file() else b""
    start = b"" if not before or before.endswith(b"\n") else b"\n"
    there = {line.strip() for line in before.decode(errors="replace").splitlines()}
    lines = [line for line in (LINE, LEFTOVERS) if line not in there]
    write_atomic(file, before + start + "".join(f"{line}\n" for line in lines).encode())
    return lines


def _repository(root: Path) -> Path | None:
    for folder in (root, *root.parents):
        if (folder / ".git").exists():
            return folder
    return None


def _ignores(file: Path) -> bool:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    # A pattern such as `.*` would do as well; a second line beside it does no harm.
    return any(line.strip() in _SPELLINGS for line in lines)
