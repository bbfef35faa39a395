"""Joining two branches that both moved the pointer, by a record that names the end of each.

After a git merge the history has two ends, and ``active.yaml`` may hold conflict markers. The
``resolve`` record follows the branch whose policy stands (``previous``) and names the other
(``merges``). Then both pointer files are written anew from the history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import PointerMovedError
from dse_cli.registry.canary import read_canary, settle_canary
from dse_cli.registry.findings import AlteredFileError, altered
from dse_cli.registry.history import (
    read_branches,
    read_history,
    standing_target,
    write_record,
)
from dse_cli.registry.pointer import count_looks, read_active, settle_active
from dse_cli.registry.pointer_file import pointer_ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.history import ActivePointer, HistoryRecord
    from dse_cli.registry.history import Branch
    from dse_cli.registry.store import SignatureStore


def resolve_branches(
    store: SignatureStore, winner: Branch, loser: Branch, record: HistoryRecord
) -> HistoryRecord:
    """Join two branches and make the pointer files what the joined history says.

    Args:
        winner: the branch whose policy stands.
        record: event ``resolve``; its ``sequence``, ``previous`` and ``merges`` are set here.

    Raises:
        PointerMovedError: the history changed since the branches were read.
        AlteredError: an artifact or a pointer file was altered; conflict markers are none.
    """
    if record.event != "resolve":
        raise ValueError("the record joins nothing")
    with store.lock():
        if {branch.end for branch in read_branches(store)} != {winner.end, loser.end}:
            raise PointerMovedError(
                f"the history of {store.name} changed meanwhile", hint="run the command again"
            )
        refuse_edits(store, [winner, loser])
        count_looks(store, record)
        last = max(winner.history[-1].sequence, loser.history[-1].sequence)
        place = {"sequence": last + 1, "previous": winner.end, "merges": loser.end}
        written = write_record(store, record.model_copy(update=place))
        settle(store)
    return written


def settle(store: SignatureStore) -> None:
    """Make both pointer files what the history says, while the caller holds the lock."""
    history = read_history(store)
    settle_active(store, history)
    settle_canary(store, history)


def in_conflict(store: SignatureStore) -> bool:
    """Tell whether a pointer file holds conflict markers.

    Raises:
        AlteredError: it does not read for another reason.
    """
    return _conflicts(store, read_active) or _conflicts(store, read_canary)


def refuse_edits(store: SignatureStore, branches: list[Branch]) -> None:
    """Refuse to overwrite an ``active.yaml`` that neither branch wrote.

    Raises:
        AlteredError: it was edited, or points elsewhere.
    """
    if _conflicts(store, read_active):
        return
    pointer = read_active(store)
    here = pointer_ref(pointer) if pointer else None
    if here not in [standing_target(branch.history) for branch in branches]:
        raise altered(
            store.shown("active.yaml"),
            "pointer-history",
            f"the pointer is where no branch of the history of {store.name} ends",
        )


def _conflicts(
    store: SignatureStore, read: Callable[[SignatureStore], ActivePointer | CanaryPointer | None]
) -> bool:
    try:
        read(store)
    except AlteredFileError as error:
        if any(found.code == "merge-conflict" for found in error.diagnostics):
            return True
        raise
    return False
