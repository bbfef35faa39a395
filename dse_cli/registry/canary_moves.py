"""Starting and stopping a canary: compare-and-swap under the lock, the record first.

See :mod:`dse_cli.registry.pointer` for the protocol. The active pointer is not touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.canary import canary_text, settle_canary
from dse_cli.registry.history import append_locked, read_history
from dse_cli.registry.pointer import (
    compare,
    compare_canary,
    count_looks,
    read_active,
    recover_locked,
)

if TYPE_CHECKING:
    from dse_cli.contracts.history import HistoryRecord
    from dse_cli.registry.store import SignatureStore


def start_canary(
    store: SignatureStore, expected_current: str | None, record: HistoryRecord
) -> HistoryRecord:
    """Write ``canary.yaml`` and record it, if the active policy still is the measured one.

    Args:
        expected_current: compiled id of the active policy that it was measured against; None for
            the authored one.
        record: event ``promote`` on the channel ``canary``, with its ``canary``, the artifact as
            ``target`` and the active policy as ``source``.

    Raises:
        PointerMovedError: another policy is active now, a canary runs already, or another gate
            looked at the same holdout rows in the meantime.
        AlteredError: pointer, history or target do not verify; nothing was moved.
    """
    if (record.channel, record.event) != ("canary", "promote"):
        raise ValueError("the record starts no canary")
    with store.lock():
        recover_locked(store)
        compare(store, expected_current, read_active(store))
        compare_canary(store, None)
        count_looks(store, record)
        text = canary_text(store, record)
        written = append_locked(store, record)
        write_atomic(store.canary_file, text.encode())
    return written


def stop_canary(store: SignatureStore, record: HistoryRecord) -> HistoryRecord:
    """Remove ``canary.yaml`` and record why, if it still is the canary that the record names.

    Args:
        record: event ``rollback`` on the channel ``canary``, with the ``canary`` that ran.

    Raises:
        PointerMovedError: another canary runs now, or none.
        AlteredError: pointer or history do not verify; nothing was moved.
    """
    if (record.channel, record.event) != ("canary", "rollback") or record.canary is None:
        raise ValueError("the record stops no canary")
    with store.lock():
        recover_locked(store)
        compare_canary(store, record.canary.salt)
        written = append_locked(store, record)
        settle_canary(store, read_history(store))
    return written
