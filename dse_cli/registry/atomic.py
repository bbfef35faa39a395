"""Files that are either as they were or as they shall be, whenever the machine stops.

A write goes to a new file in the same folder, which is flushed to the disk and then renamed over
the old one; then the folder is flushed, because a rename lives in the folder. Whoever reads sees
the old bytes or the new ones, never a mixture. A process that is killed half-way leaves at most a
file ``.dse-*.tmp``, which nothing reads and ``.gitignore`` names.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import AlteredError, InfrastructureError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TEMPORARY_PREFIX: Final = ".dse-"
TEMPORARY_SUFFIX: Final = ".tmp"


def write_atomic(path: Path, data: bytes) -> bool:
    """Make ``path`` hold ``data``; folders are made as needed.

    A file that holds the bytes already is left untouched, its times included. A link is replaced
    by a file, never followed. The mode is that of the old file, else what the umask allows.

    Returns:
        Whether anything was written.

    Raises:
        InfrastructureError: the system refuses (disk full, no permission); the old file stands.
    """
    with _explained(path, "written"):
        if _holds(path, data):
            return False
        make_folder(path.parent)
        _replace(path, data)
    return True


def write_once(path: Path, data: bytes) -> bool:
    """Write a file whose name follows from its content; see :func:`write_atomic`.

    Raises:
        AlteredError: the file exists with other bytes, which are left as they are.
    """
    if path.is_symlink() or path.exists():
        with _explained(path, "read"):
            if _holds(path, data):
                return False
        raise AlteredError(
            f"{_shown(path)} exists with other bytes, and its name allows only one content",
            hint="restore it from git, or delete it if it was never committed",
        )
    return write_atomic(path, data)


def remove_durably(path: Path) -> bool:
    """Delete a file so that it stays deleted; return whether it was there.

    Raises:
        InfrastructureError: the system refuses.
    """
    with _explained(path, "deleted"):
        try:
            path.unlink()
        except FileNotFoundError:
            return False
        _flush_folder(path.parent)
    return True


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, flushed to the disk like the files in it."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _flush_folder(folder.parent)


def _holds(path: Path, data: bytes) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    # The size first: most changes are seen without reading.
    return path.stat().st_size == len(data) and path.read_bytes() == data


def _replace(path: Path, data: bytes) -> None:
    name = f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    temporary = path.with_name(name)  # a rename is atomic only inside one file system
    try:
        with temporary.open("xb") as stream:
            if path.is_file() and not path.is_symlink():
                os.fchmod(stream.fileno(), stat.S_IMODE(path.stat().st_mode))
            stream.write(data)
            stream.flush()
            # Without this a power cut can leave the new name with no content.
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@contextmanager
def _explained(path: Path, verb: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(
            f"{_shown(path)} could not be {verb}: {reason}",
            hint="nothing is half-written; free space or fix the permissions and run it again",
        ) from error
