"""``canary.yaml``: reading it fails closed, and it is what the history says of the canary.

The record that starts a canary holds all that the file says but the policy, so the file can be made
again from the record, and a file that was edited is told by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.channel import CanaryNote, CanaryPointer
from dse_cli.contracts.errors import StaleError
from dse_cli.registry.active_yaml import render_canary
from dse_cli.registry.atomic import remove_durably, write_atomic
from dse_cli.registry.findings import altered
from dse_cli.registry.history import ends_canary, main_line, standing_canary
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

    from dse_cli.contracts.history import HistoryRecord
    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.store import SignatureStore

#: The artifact on trial, and the pointer to it.
CanaryPolicy = Pointed[CanaryPointer]


def read_canary(store: SignatureStore) -> CanaryPointer | None:
    """Return the canary's pointer; None when there is none.

    Raises:
        AlteredError: malformed, in conflict, dangling, or not equal to the artifact that it names;
            with file and line.
    """
    found = read_pointed(store, store.canary_file, CanaryPointer)
    return found.pointer if found else None


def canary_policy(store: SignatureStore, signature: Signature) -> CanaryPolicy | None:
    """Return the policy on trial; None when there is none.

    Raises:
        AlteredError: see :func:`read_canary`.
        StaleError: the signature changed since it was compiled.
    """
    found = read_pointed(store, store.canary_file, CanaryPointer)
    if found and (changed := stale_parts(found.artifact, signature)):
        raise StaleError(
            f"the canary of {store.name} is stale: {stale_sentence(changed)}",
            hint=f"stop it by 'dse rollback {store.name} --channel canary', or restore the "
            "signature",
        )
    return found


def canary_note(pointer: CanaryPointer) -> CanaryNote:
    """Return what a history record says of a canary."""
    return CanaryNote(percent=pointer.percent, salt=pointer.salt, stop=pointer.stop)


def canary_text(store: SignatureStore, record: HistoryRecord) -> str:
    """Return ``canary.yaml`` for the record that starts it, after checking the target."""
    note, target, source = record.canary, record.target, record.source
    if note is None or target is None or target.artifact is None or source is None:
        raise ValueError("the record starts no canary")
    stored = recorded_artifact(store, record.signature_id, target)
    pointer = CanaryPointer(
        dse="canary/v1",
        signature_id=stored.artifact.signature_id,
        compiled_id=stored.artifact.compiled_id,
        artifact=target.artifact,
        artifact_digest=stored.digest,
        percent=note.percent,
        salt=note.salt,
        stop=note.stop,
        baseline=source.compiled_id,
        policy=stored.artifact.params.to_json(),
    )
    text = _rendered(store, pointer, record)
    return checked_text(store, store.canary_file, text, CanaryPointer, stored)


def canary_rendered(
    store: SignatureStore, history: Sequence[HistoryRecord], pointer: CanaryPointer
) -> bytes:
    """Return ``canary.yaml`` as DSE writes it for the canary that runs."""
    return _rendered(store, pointer, standing_canary(history)).encode()


def _rendered(store: SignatureStore, pointer: CanaryPointer, start: HistoryRecord | None) -> str:
    override = start.reason if start is not None and start.override else None
    return render_canary(pointer, name=store.name, override=override)


def canary_interrupted(history: Sequence[HistoryRecord], pointer: CanaryPointer | None) -> bool:
    """Whether the last record about the canary has not reached ``canary.yaml``."""
    line = main_line(history)
    last = max((i for i, record in enumerate(line) if _moves_canary(record)), default=None)
    if last is None or _same(standing_canary(line), pointer):
        return False
    return _same(standing_canary(line[:last]), pointer)


def canary_disagreement(
    store: SignatureStore, history: Sequence[HistoryRecord], pointer: CanaryPointer | None
) -> str:
    """Return in one sentence how ``canary.yaml`` and history disagree; empty when they do not."""
    standing = standing_canary(history)
    if _same(standing, pointer):
        return ""
    if canary_interrupted(history, pointer):
        return "a move of the canary is recorded but was interrupted"
    if standing is None:
        return f"the history of {store.name} knows no canary that runs"
    if pointer is None:
        return f"record {standing.sequence} started a canary, and the file is gone"
    return f"this is not the canary that record {standing.sequence} started: the file was edited"


def recover_canary(store: SignatureStore, history: Sequence[HistoryRecord]) -> bool:
    """Complete a recorded move of the canary, while the caller holds the lock.

    Raises:
        AlteredError: file and history disagree in any other way.
    """
    pointer = read_canary(store)
    sentence = canary_disagreement(store, history, pointer)
    if not sentence:
        return False
    if not canary_interrupted(history, pointer):
        raise altered(store.shown("canary.yaml"), "pointer-history", sentence)
    settle_canary(store, history)
    return True


def settle_canary(store: SignatureStore, history: Sequence[HistoryRecord]) -> None:
    """Make ``canary.yaml`` what the history says, while the caller holds the lock."""
    standing = standing_canary(history)
    if standing is None:
        remove_durably(store.canary_file)
    else:
        write_atomic(store.canary_file, canary_text(store, standing).encode())


def _moves_canary(record: HistoryRecord) -> bool:
    return ends_canary(record) or (record.channel == "canary" and record.event == "promote")


def _same(record: HistoryRecord | None, pointer: CanaryPointer | None) -> bool:
    """Tell whether a file is the one that a record makes."""
    if record is None or pointer is None:
        return record is None and pointer is None
    source = record.source
    return (
        record.target == pointer_ref(pointer)
        and record.canary is not None
        and (record.canary.percent, record.canary.salt, record.canary.stop)
        == (pointer.percent, pointer.salt, pointer.stop)
        and source is not None
        and source.compiled_id == pointer.baseline
    )
