"""A diskcache ``Disk`` that stores text only, and trusts no row of its database.

diskcache unpickles what a row says is a pickle (CVE-2025-69872), and its ``JSONDisk`` does so too
before it looks at the JSON. It also opens, and on eviction deletes, whatever path the ``filename``
column holds. Here pickle mode, keys that are not raw text and foreign file names are refused before
anything is touched.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import diskcache
from diskcache.core import MODE_RAW, MODE_TEXT, UNKNOWN

#: The only form diskcache itself gives to the name of a value's file.
_OWN_FILE: Final = re.compile(r"[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{28}\.val")


class UnsafeRowError(Exception):
    """A row of the cache is not of the form that this program writes."""


class SafeDisk(diskcache.Disk):  # type: ignore[misc]
    """Text in, text out; everything else raises :class:`UnsafeRowError`."""

    def put(self, key: Any) -> tuple[str, bool]:
        if type(key) is not str:
            raise UnsafeRowError(f"a key of type {type(key).__name__}")
        return key, True

    def get(self, key: Any, raw: Any) -> str:
        if not raw or type(key) is not str:
            raise UnsafeRowError("a key that is not raw text")
        return key

    def store(
        self, value: Any, read: bool, key: Any = UNKNOWN
    ) -> tuple[int, int, str | None, str | None]:
        if type(value) is not str or read:
            raise UnsafeRowError(f"a value of type {type(value).__name__}")
        if len(value) < self.min_file_size:
            return 0, MODE_RAW, None, value
        name, path = self.filename(key, value)
        data = value.encode()
        # Binary, because text mode would translate newlines.
        self._write(path, iter((data,)), "xb")
        return len(data), MODE_TEXT, Path(name).as_posix(), None

    def fetch(self, mode: Any, filename: Any, value: Any, read: bool) -> str:
        if read:
            raise UnsafeRowError("a request for an open file")
        if mode == MODE_RAW and filename is None and type(value) is str:
            return value
        if mode == MODE_TEXT and value is None and is_own_file(filename):
            return self._read(filename)
        raise UnsafeRowError(f"mode {mode!r} with file {filename!r}")

    def remove(self, file_path: Any) -> None:
        # diskcache calls this with the column as it stands: a foreign name would delete that file.
        if is_own_file(file_path):
            super().remove(file_path)

    def _read(self, filename: str) -> str:
        path = Path(self._directory, filename)
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        with os.fdopen(descriptor, "rb") as file:
            data = file.read()
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise UnsafeRowError(f"{filename} is not UTF-8") from error


def is_own_file(filename: Any) -> bool:
    """Whether a file name is one that diskcache gives itself."""
    return type(filename) is str and _OWN_FILE.fullmatch(filename) is not None
