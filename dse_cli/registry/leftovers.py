"""What a process that was killed leaves in a store: half-written files, and folders of no run.

Nothing reads them, and nothing but their age tells them from the work of a process that is still
running: a write takes milliseconds, so what is a minute old belongs to nobody.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from dse_cli.registry.atomic import TEMPORARY_PREFIX, TEMPORARY_SUFFIX, remove_durably
from dse_cli.registry.store import file_names

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.registry.store import SignatureStore

#: What was not touched for so long is no longer being written, in seconds.
OLD_S: Final = 60.0


def temporary_files(store: SignatureStore) -> list[Path]:
    """Return the half-written files of a store, sorted; links to folders are not followed."""
    name = f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"
    return sorted(path for path in store.folder.rglob(name) if _is_old(path))


def empty_runs(store: SignatureStore) -> list[str]:
    """Return the names of the receipt folders that hold nothing at all, sorted."""
    home = store.receipts_folder
    return [
        name
        for name in file_names(home)
        if (home / name).is_dir() and _is_old(home / name) and _is_empty(home / name)
    ]


def remove_leftovers(store: SignatureStore) -> list[str]:
    """Remove both; return what was removed, relative to the store, sorted.

    Raises:
        InfrastructureError: the system refuses.
    """
    removed = []
    for path in temporary_files(store):
        if remove_durably(path):
            removed.append(path.relative_to(store.folder).as_posix())
    for name in empty_runs(store):
        # A folder that got a file in the meantime is not empty, and stays.
        if _removed(store.receipts_folder / name):
            removed.append(f"receipts/{name}")
    return sorted(removed)


def _is_empty(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except OSError:
        return False


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError:
        return False
    return True


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.lstat().st_mtime > OLD_S
    except OSError:
        return False  # gone, or not ours to look at
