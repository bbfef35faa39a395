"""The active pointer: reading it fails closed, moving it is a compare-and-swap under a lock.

A move is two files, the history record and ``active.yaml``, and the machine can stop between
them. The record is written first: it is the promise, and the pointer follows. So a stop leaves a
record whose move has not happened, and ``active.yaml`` still holds the record's ``source``, which
is a valid policy and goes on serving. ``dse check`` reports it, and the next command that moves the
pointer first completes the promised move (:func:`recover`), then compares. The other order would
leave a pointer that nobody can account for, which is what a pointer set by hand looks like.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import short
from dse_cli.contracts.errors import PointerMovedError, StaleError
from dse_cli.contracts.history import ActivePointer, HistoryRecord, PolicyRef
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.atomic import remove_durably, write_atomic
from dse_cli.registry.documents import first_difference, load_contract, parse_contract, stands
from dse_cli.registry.findings import AlteredFileError, altered, as_altered
from dse_cli.registry.history import append_locked, looks, read_history, standing_target
from dse_cli.registry.store import stale_parts, stale_sentence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.signature import Signature
    from dse_cli.project.document import Loc
    from dse_cli.registry.documents import Loaded
    from dse_cli.registry.history import History
    from dse_cli.registry.store import SignatureStore


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """The artifact that is active, and the pointer to it."""

    artifact: CompiledArtifact
    pointer: ActivePointer

    @property
    def ref(self) -> PolicyRef:
        """The pointer as history records spell it."""
        return pointer_ref(self.pointer)


def pointer_ref(pointer: ActivePointer) -> PolicyRef:
    """Return what a pointer points to, as history records spell it."""
    return PolicyRef(
        compiled_id=pointer.compiled_id,
        artifact=pointer.artifact,
        artifact_digest=pointer.artifact_digest,
    )


def read_active(store: SignatureStore) -> ActivePointer | None:
    """Return the pointer; None when there is none, and the authored policy holds.

    Raises:
        AlteredError: malformed, in conflict, dangling, or not equal to the artifact that it names;
            with file and line.
    """
    active = _read(store)
    return active.pointer if active else None


def active_policy(store: SignatureStore, signature: Signature) -> ActivePolicy | None:
    """Return the policy that serves; None when it is the authored one.

    Raises:
        AlteredError: see :func:`read_active`.
        StaleError: the signature changed since the active policy was compiled.
    """
    active = _read(store)
    if active and (changed := stale_parts(active.artifact, signature)):
        raise StaleError(
            f"the active policy of {store.name} is stale: {stale_sentence(changed)}",
            hint=f"run 'dse compile {store.name}' and promote the result, 'dse rollback "
            f"{store.name}', or restore the signature",
        )
    return active


def move_pointer(
    store: SignatureStore,
    expected_current: str | None,
    target: PolicyRef | None,
    record: HistoryRecord,
) -> HistoryRecord:
    """Move the pointer and record it, if it still is where the work behind the move began.

    Args:
        expected_current: compiled id of the active policy then; None for the authored one.
        target: where to; None, or a policy without an artifact, removes ``active.yaml``.
        record: event ``promote`` or ``rollback`` with the same target; its ``sequence``,
            ``previous`` and ``source`` (when a compiled policy is active) are set here.

    Returns:
        The record as written.

    Raises:
        PointerMovedError: the pointer is elsewhere now, or another gate looked at the same holdout
            rows in the meantime.
        AlteredError: pointer, history or target do not verify; nothing was moved.
        InfrastructureError: the lock is held, or the system refuses to write.
    """
    if record.event == "refuse" or _file_of(record.target) != _file_of(target):
        raise ValueError("the record is not about this move")
    with store.lock():
        _recover(store)
        current = _read(store)
        _compare(store, expected_current, current)
        _count_looks(store, record)
        text = None if _file_of(target) is None else _pointer_text(store, target, record)
        source = {"source": current.ref} if current else {}
        written = append_locked(store, record.model_copy(update=source))
        _point(store, text)
    return written


def recover(store: SignatureStore) -> bool:
    """Complete a recorded move that a stop of the machine cut off; return whether there was one.

    Raises:
        AlteredError: the pointer disagrees with the history in any other way.
        InfrastructureError: the lock is held, or the system refuses to write.
    """
    with store.lock():
        return _recover(store)


def interrupted(history: History, pointer: ActivePointer | None) -> bool:
    """Whether the last recorded move has not reached the pointer, which is where it was before."""
    moves = [record for record in history if record.event != "refuse"]
    here = pointer_ref(pointer) if pointer else None
    if not moves or _file_of(moves[-1].target) == _file_of(here):
        return False
    return _file_of(standing_target(_before_last_move(history))) == _file_of(here)


def disagreement(store: SignatureStore, history: History, pointer: ActivePointer | None) -> str:
    """Return in one sentence how pointer and history disagree; empty when they do not."""
    standing = standing_target(history)
    here = pointer_ref(pointer) if pointer else None
    if _file_of(standing) == _file_of(here):
        return ""
    if interrupted(history, pointer):
        return f"the move to {_words(standing)} is recorded but was interrupted"
    return f"the pointer is at {_words(here)}, and the history of {store.name} ends at " + _words(
        standing
    )


def _recover(store: SignatureStore) -> bool:
    history, pointer = read_history(store), read_active(store)
    sentence = disagreement(store, history, pointer)
    if not sentence:
        return False
    if not interrupted(history, pointer):
        raise altered(store.shown("active.yaml"), "pointer-history", sentence)
    last = next(record for record in reversed(history) if record.event != "refuse")
    target = last.target
    _point(store, None if _file_of(target) is None else _pointer_text(store, target, last))
    return True


def _before_last_move(history: History) -> History:
    last = max(index for index, record in enumerate(history) if record.event != "refuse")
    return history[:last]


def _compare(store: SignatureStore, expected: str | None, current: ActivePolicy | None) -> None:
    actual = current.pointer.compiled_id if current else None
    if actual != expected:
        then = short(expected) if expected else "the authored policy"
        now = short(actual) if actual else "the authored policy"
        raise PointerMovedError(
            f"the active policy of {store.name} is {now}, and this was measured against {then}",
            hint="run the command again, against the policy that is active now",
        )


def _count_looks(store: SignatureStore, record: HistoryRecord) -> None:
    if record.gate is None:
        return
    seen = looks(read_history(store), record.gate.split_hash)
    if record.gate.look != seen + 1:
        raise PointerMovedError(
            f"this gate counted itself as look {record.gate.look} at the holdout of {store.name}, "
            f"and {seen} looks are recorded by now",
            hint="run the command again; it is then tested at the level of its true look",
        )


def _point(store: SignatureStore, text: str | None) -> None:
    if text is None:
        remove_durably(store.active_file)
    else:
        write_atomic(store.active_file, text.encode())


def _pointer_text(store: SignatureStore, target: PolicyRef | None, record: HistoryRecord) -> str:
    """Return ``active.yaml`` for a target after checking the target and the text itself."""
    if target is None or target.artifact is None:
        raise ValueError("the authored policy has no pointer")
    stored = store.load_artifact(target.artifact)
    expected = (record.signature_id, target.compiled_id, target.artifact_digest)
    if (stored.artifact.signature_id, stored.artifact.compiled_id, stored.digest) != expected:
        raise altered(
            store.shown(target.artifact), "artifact-digest", "the artifact is not the one recorded"
        )
    pointer = ActivePointer(
        dse="active/v1",
        signature_id=stored.artifact.signature_id,
        compiled_id=stored.artifact.compiled_id,
        artifact=target.artifact,
        artifact_digest=stored.digest,
        policy=stored.artifact.params.to_json(),
    )
    text = render_active(pointer, name=store.name)
    # What could not be read back is refused before anything is recorded.
    loaded = parse_contract(text.encode(), ActivePointer, name=store.shown("active.yaml"))
    if (problem := _policy_problem(loaded, stored.artifact)) is not None:
        raise AlteredFileError([as_altered(problem)])
    return text


def _read(store: SignatureStore) -> ActivePolicy | None:
    name = store.shown("active.yaml")
    if not stands(store.active_file, name=name):
        return None
    loaded = load_contract(store.active_file, ActivePointer, name=name)
    pointer = loaded.value
    if not stands(store.folder / pointer.artifact, name=store.shown(pointer.artifact)):
        message = f"the pointer dangles: {pointer.artifact} does not exist"
        problem = loaded.document.diagnostic(("artifact",), "dangling-pointer", message)
        raise AlteredFileError([as_altered(problem)])
    stored = store.load_artifact(pointer.artifact)
    if problems := list(_mismatches(loaded, stored.artifact, stored.digest)):
        raise AlteredFileError([as_altered(problem) for problem in problems])
    return ActivePolicy(stored.artifact, pointer)


def _mismatches(
    loaded: Loaded[ActivePointer], artifact: CompiledArtifact, digest: str
) -> Iterator[Diagnostic]:
    pointer, place = loaded.value, loaded.document.diagnostic
    if pointer.artifact_digest != digest:
        message = f"the artifact's digest is {short(digest)}: it was altered, or the pointer was"
        yield place(("artifact_digest",), "artifact-digest", message)
    if pointer.compiled_id != artifact.compiled_id:
        message = f"the artifact's compiled id is {short(artifact.compiled_id)}"
        yield place(("compiled_id",), "compiled-id", message)
    if pointer.signature_id != artifact.signature_id:
        message = f"the artifact is of the signature {artifact.signature_id}"
        yield place(("signature_id",), "signature-id", message)
    if (problem := _policy_problem(loaded, artifact)) is not None:
        yield problem


def _policy_problem(loaded: Loaded[ActivePointer], artifact: CompiledArtifact) -> Diagnostic | None:
    where = first_difference(loaded.value.policy, artifact.params.to_json())
    if where is None:
        return None
    loc = ("policy", *where)
    message = f"{'.'.join(map(str, loc))} differs from the compiled artifact: this file was edited"
    found = loaded.document.diagnostic(loc, "policy-edited", message)
    here, there = _at(loaded.value.policy, where), _at(artifact.params.to_json(), where)
    if isinstance(here, str) and isinstance(there, str) and "|" in (found.source or ""):
        # A literal block: the text starts in the line after its key, one line per line.
        line = found.line + 1 + _first_line_apart(here, there)
        return loaded.document.source.diagnostic_at(line, 0, found.code, message)
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


def _file_of(policy: PolicyRef | None) -> tuple[str, str | None] | None:
    """Return what tells pointers apart; None for every spelling of the authored policy."""
    if policy is None or policy.artifact is None:
        return None
    return policy.artifact, policy.artifact_digest


def _words(policy: PolicyRef | None) -> str:
    if policy is None or policy.artifact is None:
        return "the authored policy"
    return policy.artifact.removeprefix("compiled/").removesuffix(".json")
