"""The store of one signature: ``artifacts/<name>``, and its immutable compiled artifacts.

An artifact is checked whenever it is read: the hash of its params, its compiled id and its file
name follow from its content, or it is refused. Nothing is trusted because it is on the disk.
"""

from __future__ import annotations

import math
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.canonical import sha256_of_bytes, short
from dse_cli.contracts.artifact import CompiledArtifact, compiled_id, params_hash
from dse_cli.contracts.demo_index import DemoIndex, index_problem
from dse_cli.contracts.errors import InfrastructureError, StaleError
from dse_cli.registry.atomic import make_folder, write_once
from dse_cli.registry.documents import load_contract, parse_contract
from dse_cli.registry.findings import AlteredFileError, altered, as_altered
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.lookup import Candidate, find_one

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.params import Params
    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.documents import Loaded

INDEX_NAME: Final = re.compile(r"indexes/[0-9a-f]{12}\.json")
ARTIFACT_NAME: Final = re.compile(r"compiled/([0-9a-f]{12})-([0-9a-f]{12})\.json")
#: How long a command waits for another that is moving the pointer, in seconds.
LOCK_TIMEOUT_S: Final = 30.0

_PARTS: Final = {
    "input_schema": "input schema",
    "output_schema": "output schema",
    "prompt_ir": "prompt",
}


class StoredArtifact(NamedTuple):
    """An artifact and the digest of its file."""

    artifact: CompiledArtifact
    digest: str


class PutArtifact(NamedTuple):
    """Where an artifact was written (relative to the store), and the digest of its file."""

    name: str
    digest: str


@dataclass(frozen=True)
class SignatureStore:
    """What DSE keeps of one signature.

    Attributes:
        folder: ``artifacts/<name>``.
        lock_folder: where locks stand; outside git, shared by all processes of the project.
    """

    folder: Path
    lock_folder: Path

    @property
    def name(self) -> str:
        """The signature's folder name, as commands take it."""
        return self.folder.name

    @property
    def active_file(self) -> Path:
        return self.folder / "active.yaml"

    @property
    def canary_file(self) -> Path:
        return self.folder / "canary.yaml"

    @property
    def history_folder(self) -> Path:
        return self.folder / "history"

    @property
    def receipts_folder(self) -> Path:
        return self.folder / "receipts"

    def shown(self, relative: str) -> str:
        """Return a path of the store as messages name it: relative to the project root."""
        return f"{self.folder.parent.name}/{self.name}/{relative}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the store against every other process (and thread) that moves its pointer.

        Raises:
            InfrastructureError: somebody else held it for 30 seconds, or it cannot be made.
        """
        from filelock import FileLock, Timeout

        try:
            make_folder(self.lock_folder)
            held = FileLock(self.lock_folder / f"{self.name}.lock").acquire(timeout=LOCK_TIMEOUT_S)
        except Timeout as error:
            raise InfrastructureError(
                f"another dse command is moving the pointer of {self.name}",
                hint="wait for it to end, then try again",
            ) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise InfrastructureError(
                f"the lock of {self.name} cannot be made: {reason}"
            ) from error
        with held:
            yield

    def artifact_name(self, artifact: CompiledArtifact) -> str:
        """Return ``compiled/<id12>-<run12>.json``."""
        return f"compiled/{short(artifact.compiled_id)}-{short(artifact.provenance.run)}.json"

    def put_artifact(self, artifact: CompiledArtifact) -> PutArtifact:
        """Write an artifact once; a second write of the same leaves the file untouched.

        Raises:
            AlteredError: its hashes do not follow from it, it could not be read back, or the file
                exists with other bytes.
            InfrastructureError: the system refuses to write.
        """
        name = self.artifact_name(artifact)
        data = json_file_bytes(artifact.to_json())
        # What cannot be read back is refused now, not by the first command that needs it.
        loaded = parse_contract(data, CompiledArtifact, name=self.shown(name))
        self._check(name, loaded)
        write_once(self.folder / name, data)
        return PutArtifact(name, sha256_of_bytes(data))

    def load_artifact(self, name: str) -> StoredArtifact:
        """Read ``compiled/<id12>-<run12>.json`` and recompute everything that names it.

        Raises:
            AlteredError: missing, malformed, or not what its hashes and its name say; with file
                and line.
        """
        loaded = self.open_artifact(name)
        return StoredArtifact(loaded.value, loaded.digest)

    def open_artifact(self, name: str) -> Loaded[CompiledArtifact]:
        """Read an artifact as :meth:`load_artifact` does, with the place of every value."""
        if ARTIFACT_NAME.fullmatch(name) is None:
            raise altered(self.shown(name), "artifact-name", "this is not the name of an artifact")
        loaded = load_contract(self.folder / name, CompiledArtifact, name=self.shown(name))
        self._check(name, loaded)
        self.load_index(loaded.value.params)
        return loaded

    def put_index(self, index: DemoIndex) -> str:
        """Write the index of a pool of demos once, and return its name in the store.

        Raises:
            AlteredError: the file exists with other bytes.
            InfrastructureError: the system refuses to write.
        """
        name = index_name(index.digest)
        write_once(self.folder / name, json_file_bytes(index.to_json()))
        return name

    def load_index(self, params: Params) -> DemoIndex | None:
        """Read the index that params name, and hold it against them; None when they name none.

        Raises:
            AlteredError: missing, malformed, or not the index of these demos.
        """
        few_shot = params.few_shot
        if few_shot is None or few_shot.selector is None:
            return None
        name = index_name(few_shot.selector.index)
        loaded = load_contract(self.folder / name, DemoIndex, name=self.shown(name))
        index = loaded.value
        problem = index_problem(index, few_shot.selector, few_shot.examples)
        if problem is None and loaded.digest != sha256_of_bytes(json_file_bytes(index.to_json())):
            problem = "its bytes are not those that dse writes"
        if problem is not None:
            raise altered(self.shown(name), "demo-index", f"the index was altered: {problem}")
        return index

    def list_indexes(self) -> tuple[str, ...]:
        """Return the names of all files beside the indexes, sorted; they are not read."""
        return tuple(f"indexes/{name}" for name in file_names(self.folder / "indexes"))

    def load_artifact_for(self, name: str, signature: Signature) -> StoredArtifact:
        """Read an artifact that must fit the signature as it stands now.

        Raises:
            AlteredError: see :meth:`load_artifact`.
            StaleError: the signature changed since; names what changed.
        """
        stored = self.load_artifact(name)
        if changed := stale_parts(stored.artifact, signature):
            raise StaleError(
                f"{self.shown(name)} is stale: {stale_sentence(changed)}",
                hint=f"run 'dse compile {self.name}', or restore the signature",
            )
        return stored

    def list_artifacts(self) -> tuple[str, ...]:
        """Return the names of all artifacts, sorted; the files are not read."""
        found = (f"compiled/{name}" for name in file_names(self.folder / "compiled"))
        return tuple(sorted(name for name in found if ARTIFACT_NAME.fullmatch(name)))

    def resolve(self, written: str) -> str:
        """Return the name of the artifact that a file name, a prefix of a compiled id, or a prefix
        of a run means.

        Raises:
            UsageError: nothing matches, or several artifacts do; lists them.
            AlteredError: a full hash was given and the artifact it points to is altered.
        """
        candidates = [self._candidate(name) for name in self.list_artifacts()]
        return find_one(written, candidates, what="artifact").label

    def _candidate(self, name: str) -> Candidate:
        def hashes() -> tuple[str, str]:
            artifact = self.load_artifact(name).artifact
            return artifact.compiled_id, artifact.provenance.run

        match = ARTIFACT_NAME.fullmatch(name)
        return Candidate(name, match.groups() if match else (), hashes)

    def _check(self, name: str, loaded: Loaded[CompiledArtifact]) -> None:
        problems = list(_problems(loaded))
        if not problems and self.artifact_name(loaded.value) != name:
            expected = self.artifact_name(loaded.value)
            problems.append(
                loaded.document.diagnostic(
                    ("compiled_id",), "artifact-name", f"by its content this file is {expected}"
                )
            )
        if problems:
            raise AlteredFileError([as_altered(problem) for problem in problems])


def index_name(digest: str) -> str:
    """Return the name in the store of the index with a digest."""
    return f"indexes/{short(digest)}.json"


def stale_parts(artifact: CompiledArtifact, signature: Signature) -> list[str]:
    """Return what changed in the signature since the artifact was compiled, in plain words."""
    if artifact.signature_id != signature.id:
        return [f"signature id (was {artifact.signature_id})"]
    then, now = artifact.hashes.to_json(), signature.contract_hashes
    changed = [words for part, words in _PARTS.items() if then[part] != now[part]]
    # A policy pins its token cap. The signature's may be raised, not lowered below it.
    cap = signature.spec.defaults.constraints.max_tokens
    if cap is not None and _most_tokens(artifact) > cap:
        changed.append("token cap")
    return changed


def _most_tokens(artifact: CompiledArtifact) -> float:
    roles = artifact.params.model_roles
    settings = [artifact.params.model, *((roles.main, roles.repair) if roles else ())]
    caps = [model.max_tokens for model in settings if model is not None and model.max_tokens]
    return max(caps, default=math.inf)


def stale_sentence(changed: list[str]) -> str:
    """Return ``the input schema and the prompt changed since it was compiled``."""
    return f"the {' and the '.join(changed)} changed since it was compiled"


def file_names(folder: Path) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones; empty when there is none.

    Raises:
        InfrastructureError: the folder cannot be listed.
    """
    try:
        return sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(f"{folder.name} cannot be listed: {reason}") from error


def _problems(loaded: Loaded[CompiledArtifact]) -> Iterator[Diagnostic]:
    artifact = loaded.value
    stated = artifact.hashes.params
    if (actual := params_hash(artifact.params)) != stated:
        yield loaded.document.diagnostic(
            ("hashes", "params"),
            "params-hash",
            f"the params were altered: their hash is {short(actual)}, not {short(stated)}",
        )
    actual = compiled_id(artifact.signature_id, artifact.hashes.to_json(), artifact.params)
    if actual != artifact.compiled_id:
        yield loaded.document.diagnostic(
            ("compiled_id",),
            "compiled-id",
            f"the policy was altered: its id is {short(actual)}, not {short(artifact.compiled_id)}",
        )
