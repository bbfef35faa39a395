"""Which artifact ``--latest`` means: the one that the last compile on this machine wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import UsageError
from dse_cli.registry.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.project.project import Project
    from dse_cli.registry.store import SignatureStore


def remember_latest(project: Project, name: str, artifact: str) -> None:
    """Note what a compile wrote; machine-local, outside git."""
    write_atomic(_note(project, name), f"{artifact}\n".encode())


def latest_artifact(project: Project, store: SignatureStore) -> str:
    """Return the artifact of the last compile here, or the only one there is.

    Raises:
        UsageError: nothing was compiled here, and there is not exactly one artifact.
    """
    known = store.list_artifacts()
    note = _note(project, store.name)
    if note.is_file() and (latest := note.read_text(encoding="utf-8").strip()) in known:
        return latest
    if len(known) == 1:
        return known[0]
    if not known:
        raise UsageError(
            f"{store.name} has no compiled artifact", hint=f"run 'dse compile {store.name}' first"
        )
    raise UsageError(
        f"{store.name} was not compiled on this machine, and it has {len(known)} artifacts",
        hint="name one: " + ", ".join(name.removeprefix("compiled/") for name in known),
    )


def _note(project: Project, name: str) -> Path:
    return project.paths.local / "latest" / name
