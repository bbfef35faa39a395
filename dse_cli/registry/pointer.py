"""The active pointer: reading it fails closed, moving it is a compare-and-swap under a lock.

A move is two files, the history record and ``active.yaml``, and the machine can stop between
them. The record is written first: it is the promise, and the pointer follows. So a stop leaves a
record whose move has not happened, and ``active.yaml`` still holds the record's ``source``, which
is a valid policy and goes on serving. ``dse check`` reports it, and the next command that moves the
pointer first completes the promised move (:func:`recover`), then compares. The other order would
leave a pointer that nobody can account for, which is what a pointer set by hand looks like.
``canary.yaml`` is moved by the same protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.contracts.errors import PointerMovedError, StaleError
from dse_cli.contracts.history import ActivePointer, HistoryRecord, PolicyRef
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.atomic import remove_durably, write_atomic
from dse_cli.registry.canary import read_canary, recover_canary, settle_canary
from dse_cli.registry.findings import altered
from dse_cli.registry.history import (
    append_locked,
    line_to,
    looks,
    main_line,
    moves_active,
    read_history,
    read_records,
    standing_target,
)
from dse_cli.registry.pointer_file import (
    Pointed,
    checked_text,
    pointer_ref,
    read_pointed,
    recorded_artifact,
)
from dse_cli.registry.store import stale_parts, stale_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.history import History
    from dse_cli.registry.store import SignatureStore

#: The artifact that is active, and the pointer to it.
ActivePolicy = Pointed[ActivePointer]


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

    A promotion whose record has a ``canary`` moves the pointer to the canary that runs, and ends
    it.

    Args:
        expected_current: compiled id of the active policy then; None for the authored one.
        target: where to; None, or a policy without an artifact, removes ``active.yaml``.
        record: event ``promote``, ``refresh`` or ``rollback`` with the same target; its
            ``sequence``, ``previous`` and ``source`` (when a compiled policy is active) are set
            here.

    Returns:
        The record as written.

    Raises:
        PointerMovedError: the pointer is elsewhere now, another gate looked at the same holdout
            rows in the meantime, or the canary is another one.
        AlteredError: pointer, history or target do not verify; nothing was moved.
        InfrastructureError: the lock is held, or the system refuses to write.
    """
    if not moves_active(record) or _file_of(record.target) != _file_of(target):
        raise ValueError("the record is not about this move")
    with store.lock():
        recover_locked(store)
        current = _read(store)
        compare(store, expected_current, current.pointer if current else None)
        count_looks(store, record)
        if record.canary is not None:
            compare_canary(store, record.canary.salt)
        text = None if _file_of(target) is None else _pointer_text(store, target, record)
        source = {"source": current.ref} if current else {}
        written = append_locked(store, record.model_copy(update=source))
        _point(store, text)
        if record.canary is not None:
            settle_canary(store, read_history(store))
    return written


def recover(store: SignatureStore) -> bool:
    """Complete a recorded move that a stop of the machine cut off; return whether there was one.

    Raises:
        AlteredError: a pointer disagrees with the history in any other way.
        InfrastructureError: the lock is held, or the system refuses to write.
    """
    with store.lock():
        return recover_locked(store)


def recover_locked(store: SignatureStore) -> bool:
    """Do what :func:`recover` does while the caller holds the lock."""
    history = read_history(store)
    active = _recover_active(store, history)
    return recover_canary(store, history) or active


def interrupted(history: History, pointer: ActivePointer | None) -> bool:
    """Whether the last recorded move has not reached the pointer, which is where it was before."""
    here = pointer_ref(pointer) if pointer else None
    if _last_move(history) is None or _file_of(standing_target(history)) == _file_of(here):
        return False
    return _file_of(here) in {_file_of(standing_target(before)) for before in _before(history)}


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


def settle_active(store: SignatureStore, history: History) -> None:
    """Make ``active.yaml`` what the history says, while the caller holds the lock."""
    target = standing_target(history)
    last = _last_move(history)
    if target is None or last is None:
        _point(store, None)
    else:
        _point(store, _pointer_text(store, target, last))


def compare(store: SignatureStore, expected: str | None, current: ActivePointer | None) -> None:
    """Refuse a move whose work began elsewhere than the pointer is now.

    Raises:
        PointerMovedError: it is elsewhere.
    """
    actual = current.compiled_id if current else None
    if actual != expected:
        then = short(expected) if expected else "the authored policy"
        now = short(actual) if actual else "the authored policy"
        raise PointerMovedError(
            f"the active policy of {store.name} is {now}, and this was measured against {then}",
            hint="run the command again, against the policy that is active now",
        )


def compare_canary(store: SignatureStore, salt: str | None) -> None:
    """Refuse a move that began when another canary ran, or none.

    Args:
        salt: of the canary that ran then; None when there was none.

    Raises:
        PointerMovedError: another one runs now, or none, or one where there was none.
    """
    running = read_canary(store)
    if (running.salt if running else None) != salt:
        now = f"a canary on {short(running.compiled_id)} runs" if running else "no canary runs"
        raise PointerMovedError(
            f"{now} at {store.name}, and that was not so when this command began",
            hint="run the command again",
        )


def count_looks(store: SignatureStore, record: HistoryRecord) -> None:
    """Refuse a gate that did not know of every look at its holdout.

    Raises:
        PointerMovedError: another look was recorded since.
    """
    if record.gate is None:
        return
    seen = looks(read_records(store), record.gate.split_hash)
    if record.gate.look != seen + 1:
        raise PointerMovedError(
            f"this gate counted itself as look {record.gate.look} at the holdout of {store.name}, "
            f"and {seen} looks are recorded by now",
            hint="run the command again; it is then tested at the level of its true look",
        )


def _recover_active(store: SignatureStore, history: History) -> bool:
    pointer = read_active(store)
    sentence = disagreement(store, history, pointer)
    if not sentence:
        return False
    if not interrupted(history, pointer):
        raise altered(store.shown("active.yaml"), "pointer-history", sentence)
    settle_active(store, history)
    return True


def _last_move(history: Sequence[HistoryRecord]) -> HistoryRecord | None:
    return next((record for record in reversed(history) if moves_active(record)), None)


def _before(history: History) -> list[History]:
    """Return the history before the last move; of both branches when it joined two."""
    line = main_line(history)
    last = max(index for index, record in enumerate(line) if moves_active(record))
    other = line[last].merges
    return [line[:last], *([line_to(history, other)] if other else [])]


def _point(store: SignatureStore, text: str | None) -> None:
    if text is None:
        remove_durably(store.active_file)
    else:
        write_atomic(store.active_file, text.encode())


def _pointer_text(store: SignatureStore, target: PolicyRef | None, record: HistoryRecord) -> str:
    """Return ``active.yaml`` for a target after checking the target and the text itself."""
    if target is None or target.artifact is None:
        raise ValueError("the authored policy has no pointer")
    stored = recorded_artifact(store, record.signature_id, target)
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
    return checked_text(store, store.active_file, text, ActivePointer, stored)


def _read(store: SignatureStore) -> ActivePolicy | None:
    return read_pointed(store, store.active_file, ActivePointer)


def _file_of(policy: PolicyRef | None) -> tuple[str, str | None] | None:
    """Return what tells pointers apart; None for every spelling of the authored policy."""
    if policy is None or policy.artifact is None:
        return None
    return policy.artifact, policy.artifact_digest


def _words(policy: PolicyRef | None) -> str:
    if policy is None or policy.artifact is None:
        return "the authored policy"
    return policy.artifact.removeprefix("compiled/").removesuffix(".json")
