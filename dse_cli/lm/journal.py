"""The journal: completed calls as they complete, so that a killed run repeats none that was paid.

It is working state under ``.dse/``, in order of arrival, and never an identity of anything; the
transcript is.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import AlteredError
from dse_cli.lm.response_json import read_response

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.contracts.lm import LmRequest, LmResponse


class Journal:
    """Append-only JSON lines, each handed to the operating system in one write.

    What was written survives ``kill -9``; :meth:`sync` makes it survive a power cut.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[str, str], LmResponse] = {}
        self._descriptor: int | None = None

    def __len__(self) -> int:
        return len(self._known)

    def load(self) -> int:
        """Read what an earlier process wrote, and return the number of calls.

        A last line without its line end is a write that was cut off: it is truncated away.

        Raises:
            AlteredError: any other line is malformed.
        """
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        complete = data.rfind(b"\n") + 1
        for number, line in enumerate(data[:complete].split(b"\n")[:-1], start=1):
            self._read_line(line, number)
        if complete != len(data):
            os.truncate(self._path, complete)
        return len(self._known)

    def find(self, request: LmRequest) -> LmResponse | None:
        """Return the response to the same request under the same path, if one is on record."""
        return self._known.get((request.path, request.key))

    def append(self, request: LmRequest, response: LmResponse) -> None:
        """Write one call."""
        entry = {
            "path": request.path,
            "request_key": request.key,
            "response": response.to_json(),
        }
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        self._write(line)
        self._known[request.path, request.key] = response

    def sync(self) -> None:
        """Force everything written so far to the disk."""
        if self._descriptor is not None:
            os.fsync(self._descriptor)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, line: bytes) -> None:
        descriptor = self._opened()
        size = os.fstat(descriptor).st_size
        written = 0
        try:
            while written < len(line):
                written += os.write(descriptor, line[written:])
        except OSError:
            # Half a line may only ever be the last one.
            os.ftruncate(descriptor, size)
            raise

    def _opened(self) -> int:
        if self._descriptor is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor

    def _read_line(self, line: bytes, number: int) -> None:
        try:
            entry: Any = json.loads(line)
            key = (entry["path"], entry["request_key"])
            response = read_response(entry["response"])
            if len(entry) != 3 or not all(isinstance(part, str) for part in key):
                raise ValueError("unexpected keys")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise AlteredError(
                f"{self._path.name}:{number}: not an entry of a journal: {error}",
                hint="delete the journal to start this run again",
            ) from None
        if self._known.setdefault(key, response) != response:
            raise AlteredError(f"{self._path.name}:{number}: the call {key[0]!r} is there twice")
