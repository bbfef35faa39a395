"""A pointer file, ``active.yaml`` or ``canary.yaml``: read against its artifact, and made from it.

Reading fails closed: a pointer that is malformed, dangles, or differs from the artifact that it
names is refused at its line, and nothing is served.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dse_cli.canonical import short
from dse_cli.contracts.channel import CanaryPointer
from dse_cli.contracts.history import ActivePointer, PolicyRef
from dse_cli.registry.documents import first_difference, load_contract, parse_contract, stands
from dse_cli.registry.findings import AlteredFileError, altered, as_altered

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Document, Loc
    from dse_cli.registry.documents import Loaded
    from dse_cli.registry.store import SignatureStore, StoredArtifact

Pointer = TypeVar("Pointer", ActivePointer, CanaryPointer)


@dataclass(frozen=True, slots=True)
class Pointed(Generic[Pointer]):
    """An artifact, and the pointer to it."""

    artifact: CompiledArtifact
    pointer: Pointer

    @property
    def ref(self) -> PolicyRef:
        """The pointer as history records spell it."""
        return pointer_ref(self.pointer)


def pointer_ref(pointer: ActivePointer | CanaryPointer) -> PolicyRef:
    """Return what a pointer points to, as history records spell it."""
    return PolicyRef(
        compiled_id=pointer.compiled_id,
        artifact=pointer.artifact,
        artifact_digest=pointer.artifact_digest,
    )


def read_pointed(
    store: SignatureStore, path: Path, contract: type[Pointer]
) -> Pointed[Pointer] | None:
    """Read a pointer file of the store and the artifact that it names; None when there is none.

    Raises:
        AlteredError: malformed, in conflict, dangling, or not equal to the artifact; with file and
            line.
    """
    name = store.shown(path.name)
    if not stands(path, name=name):
        return None
    loaded = load_contract(path, contract, name=name)
    pointer = loaded.value
    if not stands(store.folder / pointer.artifact, name=store.shown(pointer.artifact)):
        message = f"the pointer dangles: {pointer.artifact} does not exist"
        problem = loaded.document.diagnostic(("artifact",), "dangling-pointer", message)
        raise AlteredFileError([as_altered(problem)])
    stored = store.load_artifact(pointer.artifact)
    if problems := list(_mismatches(loaded, stored)):
        raise AlteredFileError([as_altered(problem) for problem in problems])
    return Pointed(stored.artifact, pointer)


def recorded_artifact(
    store: SignatureStore, signature_id: str, target: PolicyRef
) -> StoredArtifact:
    """Return the artifact that a record names.

    Raises:
        AlteredError: it is not what was recorded.
        ValueError: the record is about the authored policy.
    """
    if target.artifact is None:
        raise ValueError("the authored policy has no pointer")
    stored = store.load_artifact(target.artifact)
    expected = (signature_id, target.compiled_id, target.artifact_digest)
    if (stored.artifact.signature_id, stored.artifact.compiled_id, stored.digest) != expected:
        raise altered(
            store.shown(target.artifact), "artifact-digest", "the artifact is not the one recorded"
        )
    return stored


def checked_text(
    store: SignatureStore, path: Path, text: str, contract: type[Pointer], stored: StoredArtifact
) -> str:
    """Return the text of a pointer file; what could not be read back is refused."""
    loaded = parse_contract(text.encode(), contract, name=store.shown(path.name))
    problem = _policy_problem(loaded.value.policy, loaded.document, stored.artifact)
    if problem is not None:
        raise AlteredFileError([as_altered(problem)])
    return text


def _mismatches(loaded: Loaded[Pointer], stored: StoredArtifact) -> Iterator[Diagnostic]:
    pointer, place = loaded.value, loaded.document.diagnostic
    artifact, digest = stored
    if pointer.artifact_digest != digest:
        message = f"the artifact's digest is {short(digest)}: it was altered, or the pointer was"
        yield place(("artifact_digest",), "artifact-digest", message)
    if pointer.compiled_id != artifact.compiled_id:
        message = f"the artifact's compiled id is {short(artifact.compiled_id)}"
        yield place(("compiled_id",), "compiled-id", message)
    if pointer.signature_id != artifact.signature_id:
        message = f"the artifact is of the signature {artifact.signature_id}"
        yield place(("signature_id",), "signature-id", message)
    if (problem := _policy_problem(pointer.policy, loaded.document, artifact)) is not None:
        yield problem


def _policy_problem(
    policy: dict[str, Any], document: Document, artifact: CompiledArtifact
) -> Diagnostic | None:
    where = first_difference(policy, artifact.params.to_json())
    if where is None:
        return None
    loc = ("policy", *where)
    message = f"{'.'.join(map(str, loc))} differs from the compiled artifact: this file was edited"
    found = document.diagnostic(loc, "policy-edited", message)
    here, there = _at(policy, where), _at(artifact.params.to_json(), where)
    if isinstance(here, str) and isinstance(there, str) and "|" in (found.source or ""):
        # A literal block: the text starts in the line after its key, one line per line.
        line = found.line + 1 + _first_line_apart(here, there)
        return document.source.diagnostic_at(line, 0, found.code, message)
    return found


def _at(value: Any, loc: Loc) -> Any:
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError):
            return None
    return value


def _first_line_apart(here: str, there: str) -> int:
    pairs = zip(here.split("\n"), there.split("\n"), strict=False)
    same = 0
    for one, other in pairs:
        if one != other:
            break
        same += 1
    return min(same, max(here.rstrip("\n").count("\n"), 0))
