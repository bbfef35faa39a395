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
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.canary import (
    canary_disagreement,
    canary_interrupted,
    canary_rendered,
    read_canary,
)
from dse_cli.registry.history import read_history
from dse_cli.registry.leftovers import empty_runs, remove_leftovers, temporary_files
from dse_cli.registry.pointer import disagreement, interrupted, read_active, recover
from dse_cli.registry.store import SignatureStore, file_names
from dse_cli.workflows.checks.ignored import NAME, ignore_local_folder, unignored_local_folder

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
        lines = ignore_local_folder(project)
        done.append(Fixed(NAME, "not-ignored", f"added {' and '.join(lines)}"))
    for name in file_names(project.paths.artifacts):
        store = SignatureStore(project.paths.artifact(name), project.paths.locks)
        if store.folder.is_dir():
            done += _fix_store(store)
    return done


def _fix_store(store: SignatureStore) -> list[Fixed]:
    done: list[Fixed] = []
    cut_off = _interrupted(store)
    if cut_off and recover(store):
        what = "completed the recorded move"
        done += [Fixed(store.shown(path.name), "interrupted-move", what) for path in cut_off]
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


def _interrupted(store: SignatureStore) -> list[Path]:
    """Return the pointer files whose recorded move was cut off; one set by hand is not that."""
    try:
        history, pointer, canary = read_history(store), read_active(store), read_canary(store)
    except DseError:
        return []  # a finding, and no repair of ours
    active = disagreement(store, history, pointer)
    trial = canary_disagreement(store, history, canary)
    if (active and not interrupted(history, pointer)) or (
        trial and not canary_interrupted(history, canary)
    ):
        return []
    files = ((active, store.active_file), (trial, store.canary_file))
    return [path for sentence, path in files if sentence]


def _reformatted(store: SignatureStore) -> dict[Path, bytes]:
    """Return what a pointer file should hold, if it says the same in other bytes.

    Only if it is where the history says: what somebody set by hand is not made to look like ours.
    """
    found: dict[Path, bytes] = {}
    # Reading refuses a pointer that is not equal to its artifact.
    with suppress(DseError):
        active = read_active(store)
        if active is not None and not disagreement(store, read_history(store), active):
            found[store.active_file] = render_active(active, name=store.name).encode()
    with suppress(DseError):
        canary = read_canary(store)
        history = read_history(store)
        if canary is not None and not canary_disagreement(store, history, canary):
            found[store.canary_file] = canary_rendered(store, history, canary)
    return {path: text for path, text in found.items() if path.read_bytes() != text}
