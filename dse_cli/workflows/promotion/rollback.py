"""``dse rollback``: the active pointer goes to what was promoted before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dse_cli.contracts.errors import UsageError
from dse_cli.registry.history import previous_promoted, read_history, standing_target
from dse_cli.registry.pointer import move_pointer, recover
from dse_cli.registry.store import stale_parts
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from dse_cli.contracts.history import HistoryRecord, PolicyRef
    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.store import SignatureStore


class RolledBack(NamedTuple):
    """A rollback.

    Attributes:
        record: what was written.
        passed_over: promoted policies in between that are stale: they could not serve.
    """

    record: HistoryRecord
    passed_over: tuple[PolicyRef, ...]


def rollback_policy(store: SignatureStore, signature: Signature, *, reason: str) -> RolledBack:
    """Move the pointer to the previously promoted policy that can serve, and record why.

    Raises:
        UsageError: there is nothing to roll back to, or no reason.
    """
    refuse_empty(reason)
    recover(store)
    history = read_history(store)
    passed_over: list[PolicyRef] = []

    def serves(policy: PolicyRef) -> bool:
        if policy.artifact is None:
            return True
        stale = bool(stale_parts(store.load_artifact(policy.artifact).artifact, signature))
        passed_over.extend([policy] if stale else [])
        return not stale

    target, current = previous_promoted(history, serves), standing_target(history)
    record = new_record(
        "rollback", signature_id=signature.id, source=current, target=target, reason=reason
    )
    expected = None if current is None else current.compiled_id
    return RolledBack(move_pointer(store, expected, target, record), tuple(passed_over))


def refuse_empty(reason: str) -> None:
    """Refuse a reason that says nothing.

    Raises:
        UsageError: it is empty.
    """
    if not reason.strip():
        raise UsageError("the reason is empty", hint="say why in a few words: --reason TEXT")
