"""``dse rollback``: the active pointer goes to what was promoted before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import UsageError
from dse_cli.registry.history import previous_promoted, read_history, standing_target
from dse_cli.registry.pointer import move_pointer, recover
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from dse_cli.contracts.history import HistoryRecord
    from dse_cli.registry.store import SignatureStore


def rollback_policy(store: SignatureStore, signature_id: str, *, reason: str) -> HistoryRecord:
    """Move the pointer to the previously promoted policy and record why.

    Raises:
        UsageError: there is nothing to roll back to, or no reason.
    """
    refuse_empty(reason)
    recover(store)
    history = read_history(store)
    target, current = previous_promoted(history), standing_target(history)
    record = new_record(
        "rollback", signature_id=signature_id, source=current, target=target, reason=reason
    )
    expected = None if current is None else current.compiled_id
    return move_pointer(store, expected, target, record)


def refuse_empty(reason: str) -> None:
    """Refuse a reason that says nothing.

    Raises:
        UsageError: it is empty.
    """
    if not reason.strip():
        raise UsageError("the reason is empty", hint="say why in a few words: --reason TEXT")
