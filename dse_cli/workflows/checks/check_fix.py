"""``dse check --fix``: the repairs that take nothing from anybody.

A repair is safe when there is only one right outcome and no word of a person is lost: a recorded
pointer move is completed, ``active.yaml`` is written as ``dse`` writes it when the policy in it is
the compiled one, what a killed process left is removed, ``.dse/`` is kept out of git. An edited
policy, a changed row, a missing file: there a person may have meant something, so they stay
findings. A second run repairs nothing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import DseError
from dse_cli.registry.active_yaml import render_active, render_canary
from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.canary import canary_disagreement, canary_interrupted, read_canary
from dse_cli.registry.history import read_history
from dse_cli.registry.leftovers import empty_runs, remove_leftovers, temporary_files
from dse_cli.registry.pointer import disagreement, interrupted, read_active, recover
from dse_cli.registry.store import SignatureStore, file_names
from dse_cli.workflows.checks.ignored import LINE, NAME, ignore_local_folder, unignored_local_folder

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.project.project import Project


@dataclass(frozen=True, slots=True)
class Fixed:
    """One repair.

    Attributes:
        file: path relative to the project root.
        code: of the finding that it ends.
        message: what was done, in a few words.
    """

    file: str
    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"file": self.file, "code": self.code, "message": self.message}


def fix_project(project: Project) -> list[Fixed]:
    """Repair what is safe to repair; return what was done, in the order of the findings' files.

    Raises:
        InfrastructureError: another command holds a pointer, or the system refuses to write.
    """
    done: list[Fixed] = []
    if unignored_local_folder(project):
        ignore_local_folder(project)
        done.append(Fixed(NAME, "not-ignored", f"added the line {LINE}"))
    for name in file_names(project.paths.artifacts):
        store = SignatureStore(project.paths.artifact(name), project.paths.locks)
        if store.folder.is_dir():
            done += _fix_store(store)
    return done


def _fix_store(store: SignatureStore) -> list[Fixed]:
    done: list[Fixed] = []
    if _is_interrupted(store) and recover(store):
        shown = store.shown("active.yaml")
        done.append(Fixed(shown, "interrupted-move", "completed the recorded move"))
    if _reformatted(store):
        with store.lock():
            # Read again under the lock: a pointer may have moved since.
            for path, text in _reformatted(store).items():
                write_atomic(path, text)
                what = "written as 'dse promote' writes it"
                done.append(Fixed(store.shown(path.name), "active-formatting", what))
    if temporary_files(store) or empty_runs(store):
        with store.lock():
            removed = remove_leftovers(store)
        for relative in removed:
            code = "incomplete-run" if relative.startswith("receipts/") else "leftover"
            if relative.endswith(".tmp"):
                code = "leftover"
            done.append(Fixed(store.shown(relative), code, "removed"))
    return done


def _is_interrupted(store: SignatureStore) -> bool:
    """Whether a recorded move was cut off; a pointer set by hand is not that."""
    try:
        history, pointer, canary = read_history(store), read_active(store), read_canary(store)
    except DseError:
        return False  # a finding, and no repair of ours
    active = disagreement(store, history, pointer)
    trial = canary_disagreement(store, history, canary)
    if (active and not interrupted(history, pointer)) or (
        trial and not canary_interrupted(history, canary)
    ):
        return False
    return bool(active or trial)


def _reformatted(store: SignatureStore) -> dict[Path, bytes]:
    """Return what a pointer file should hold, if it says the same in other bytes."""
    found: dict[Path, bytes] = {}
    # Reading refuses a pointer that is not equal to its artifact.
    with suppress(DseError):
        if (active := read_active(store)) is not None:
            found[store.active_file] = render_active(active, name=store.name).encode()
    with suppress(DseError):
        if (canary := read_canary(store)) is not None:
            found[store.canary_file] = render_canary(canary, name=store.name).encode()
    return {path: text for path, text in found.items() if path.read_bytes() != text}
