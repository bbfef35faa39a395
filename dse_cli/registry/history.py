"""``history/NNNN-<event>-<id12>.json``: one file per pointer move and refusal, hash-chained.

Here is what a history says: where each channel stands, where a rollback goes, how often a holdout
was looked at. That it is sound is :mod:`dse_cli.registry.history_chain`. The end of the chain is
held by the pointer (:mod:`dse_cli.registry.pointer`) and by git.

Where two branches were joined, the *main line* is the branch whose policy stood. Where the pointer
was and where a rollback goes follow from the main line; looks are counted on both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dse_cli.canonical import sha256_of_bytes
from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.registry.atomic import write_once
from dse_cli.registry.documents import parse_contract
from dse_cli.registry.history_chain import behind, read_chain, record_name, sealed
from dse_cli.registry.json_text import json_file_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dse_cli.registry.store import SignatureStore

History = tuple[HistoryRecord, ...]


class Branch(NamedTuple):
    """One end of a history.

    Attributes:
        end: digest of its last record.
        history: that record and all that it builds on, in order.
    """

    end: str
    history: History


def read_history(store: SignatureStore) -> History:
    """Return all records in order, verified.

    Raises:
        AlteredError: a record is missing, altered, misnamed or of another signature, or two
            branches were merged and not resolved; with file and line.
    """
    return tuple(loaded.value for loaded in read_chain(store).records)


def read_records(store: SignatureStore) -> History:
    """Return all records, also of branches that are not resolved; see :func:`read_history`."""
    return tuple(loaded.value for loaded in read_chain(store, forked=True).records)


def read_branches(store: SignatureStore) -> tuple[Branch, ...]:
    """Return the ends of the history, in the order of their digests; none when it is empty.

    Raises:
        AlteredError: a link does not hold; with file and line.
    """
    chain = read_chain(store, forked=True)
    branches = (Branch(end.digest, behind(chain, end)) for end in chain.ends)
    return tuple(sorted(branches, key=lambda branch: branch.end))


def append(store: SignatureStore, record: HistoryRecord) -> HistoryRecord:
    """Write a record that moves no pointer (a refusal) at the end of the history.

    ``sequence`` and ``previous`` of the argument are ignored: they are set here, under the lock.

    Returns:
        The record as written.

    Raises:
        ValueError: the record's event moves the pointer; use ``move_pointer``.
        AlteredError: the history does not verify; nothing is added to a broken chain.
        InfrastructureError: the system refuses to write, or the lock is held.
    """
    if record.event != "refuse":
        raise ValueError(f"a {record.event} moves the pointer")
    with store.lock():
        return append_locked(store, record)


def append_locked(store: SignatureStore, record: HistoryRecord) -> HistoryRecord:
    """Do what :func:`append` does for any event, while the caller holds the lock."""
    records = read_chain(store).records
    return write_record(
        store,
        record.model_copy(
            update={
                "sequence": records[-1].value.sequence + 1 if records else 1,
                "previous": records[-1].digest if records else None,
            }
        ),
    )


def write_record(store: SignatureStore, record: HistoryRecord) -> HistoryRecord:
    """Write a record whose place in the chain is set, and return it as written."""
    record = sealed(record)
    name = f"history/{record_name(record)}"
    data = json_file_bytes(record.to_json())
    parse_contract(data, HistoryRecord, name=store.shown(name))
    write_once(store.folder / name, data)
    return record


def looks(history: Sequence[HistoryRecord], split_hash: str) -> int:
    """Return how often a gate has looked at these holdout rows, on all branches.

    Args:
        split_hash: hash of the holdout rows. Not the revision of the whole dataset: a new train
            row changes that one, and would make every look at the same holdout the first again.
    """
    return sum(1 for r in history if r.gate is not None and r.gate.split_hash == split_hash)


def record_digest(record: HistoryRecord) -> str:
    """Return the digest of a record's file, which is what its followers name it by."""
    return sha256_of_bytes(json_file_bytes(record.to_json()))


def main_line(history: Sequence[HistoryRecord]) -> History:
    """Return the last record and what came before it, without the branches that lost."""
    if not any(record.merges for record in history):
        return tuple(history)
    before = history[-1].previous
    return (*(line_to(history, before) if before else ()), history[-1])


def line_to(history: Sequence[HistoryRecord], end: str) -> History:
    """Return the record with the digest ``end`` and what came before it on its branch."""
    by_digest = {record_digest(record): record for record in history}
    line: list[HistoryRecord] = []
    digest: str | None = end
    while digest is not None:
        line.append(by_digest[digest])
        digest = line[-1].previous
    return tuple(reversed(line))


def moves_active(record: HistoryRecord) -> bool:
    """Tell whether a record is about a move of the active pointer."""
    return record.channel == "active" and record.event != "refuse"


def standing_target(history: Sequence[HistoryRecord]) -> PolicyRef | None:
    """Return where the pointer should be by its last recorded move; None is the authored policy."""
    stack = _promoted(history)
    return stack[-1].policy if stack else None


def standing_record(history: Sequence[HistoryRecord]) -> HistoryRecord | None:
    """Return the promotion that made the standing policy active; None for the authored policy."""
    stack = _promoted(history)
    return stack[-1].record if stack else None


def previous_promoted(
    history: Sequence[HistoryRecord], serves: Callable[[PolicyRef], bool] = lambda _: True
) -> PolicyRef | None:
    """Return where a rollback goes: the policy promoted before the one that stands now.

    Promotions are a stack and a rollback takes the top off, so that rolling back twice goes two
    promotions back and never to and fro. None is the authored policy, below all promotions.

    Args:
        serves: whether a policy could be served; those that could not are passed over.

    Raises:
        UsageError: the authored policy stands; there is nothing to roll back to.
    """
    stack = _promoted(history)
    if not stack:
        raise UsageError(
            "there is nothing to roll back to: the authored policy is active",
            hint="'dse promote' makes a compiled policy active",
        )
    return next((one.policy for one in reversed(stack[:-1]) if serves(one.policy)), None)


def standing_canary(history: Sequence[HistoryRecord]) -> HistoryRecord | None:
    """Return the record that started the canary that runs; None when none does."""
    standing: HistoryRecord | None = None
    for record in main_line(history):
        if record.channel == "canary" and record.event == "promote":
            standing = record
        elif ends_canary(record):
            standing = None
    return standing


def ends_canary(record: HistoryRecord) -> bool:
    """Tell whether a record stops the canary, or moves the active pointer to it."""
    if record.channel == "canary":
        return record.event == "rollback"
    return record.event == "promote" and record.canary is not None


class _Promoted(NamedTuple):
    """A policy that was made active, and the promotion that did it."""

    policy: PolicyRef
    record: HistoryRecord


def _promoted(history: Sequence[HistoryRecord]) -> list[_Promoted]:
    """Return the promoted policies that stand on one another, the active one last."""
    stack: list[_Promoted] = []
    for record in main_line(history):
        target = record.target if record.target and record.target.artifact else None
        if not moves_active(record):
            continue
        if record.event == "promote" and target:
            stack.append(_Promoted(target, record))
        elif record.event == "refresh" and target and stack:
            stack[-1] = _Promoted(target, stack[-1].record)
        elif record.event == "rollback":
            stack = _unwound(stack, target, record)
        # A resolve leaves the stack of its main line as it is: that branch stood.
    return stack


def _unwound(
    stack: list[_Promoted], target: PolicyRef | None, record: HistoryRecord
) -> list[_Promoted]:
    if target is None:
        return []
    below = [index for index, one in enumerate(stack[:-1]) if one.policy == target]
    return stack[: below[-1] + 1] if below else [_Promoted(target, record)]
