"""The folder of the response cache: private, opened with care, counted and cleared.

The cache is a convenience: whatever is wrong with it is a warning and a miss, never a failed run.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_DATABASE = "cache.db"
_BUSY_S = 5.0


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What ``dse cache`` shows.

    Attributes:
        entries: number of responses.
        bytes: size on disk.
        readable: False when the database is damaged; then entries is 0.
    """

    entries: int
    bytes: int
    readable: bool


class CacheUnreadableError(Exception):
    """The database of the cache is damaged."""


def open_cache(folder: Path) -> Any:
    """Open, or make, a ``diskcache.Cache`` on :class:`SafeDisk`.

    Raises:
        UsageError: the folder belongs to another user.
        CacheUnreadableError: the database is damaged.
    """
    import diskcache

    from dse_cli.lm.safe_disk import SafeDisk

    make_private(folder)
    try:
        return diskcache.Cache(
            str(folder),
            timeout=_BUSY_S,
            disk=SafeDisk,
            eviction_policy="none",  # responses were paid for: only `dse cache clear` drops them
            statistics=0,
            tag_index=0,
            disk_min_file_size=2**17,
            sqlite_journal_mode="wal",
            sqlite_synchronous=1,  # survives kill -9; a power cut may lose the last entries
            sqlite_cache_size=2**13,
            sqlite_mmap_size=2**28,
        )
    # The Settings table is part of the damage: its rows become keyword arguments and pragmas.
    except (sqlite3.Error, TypeError, ValueError, KeyError, AttributeError) as error:
        raise CacheUnreadableError(str(error)) from error


def make_private(folder: Path) -> None:
    """Make a folder that only this user can enter.

    Raises:
        UsageError: it exists and belongs to another user.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if hasattr(os, "getuid") and found.st_uid != os.getuid():
        raise UsageError(
            f"the cache folder {folder} belongs to another user",
            hint="use a folder of your own, or switch the cache off",
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        folder.chmod(0o700)


def cache_stats(folder: Path) -> CacheStats:
    """Count a cache without changing it."""
    if not folder.is_dir():
        return CacheStats(0, 0, readable=True)
    database = folder / _DATABASE
    own = [database, folder / f"{_DATABASE}-wal", *folder.glob("[0-9a-f][0-9a-f]/**/*.val")]
    size = sum(path.stat().st_size for path in own if path.is_file())
    if not database.is_file():
        return CacheStats(0, size, readable=True)
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)
        try:
            ((entries,),) = connection.execute("SELECT COUNT(*) FROM Cache").fetchall()
        finally:
            connection.close()
    except sqlite3.Error:
        return CacheStats(0, size, readable=False)
    return CacheStats(entries, size, readable=True)


def clear(folder: Path) -> CacheStats:
    """Delete the database and the value files of a cache; return what was there.

    Only what a cache writes is deleted, whatever else lies in the folder; a damaged cache too.
    """
    stats = cache_stats(folder)
    for path in sorted(folder.glob(f"{_DATABASE}*")):
        path.unlink(missing_ok=True)
    for child in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child, ignore_errors=True)
    return stats
