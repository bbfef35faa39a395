"""``history/NNNN-<event>-<id12>.json``: one file per pointer move and refusal, hash-chained.

Each record names the digest of the file before it, so that no record can be changed, dropped or
put in between without breaking the chain behind it. The end of the chain is held by the pointer
(:mod:`dse_cli.registry.pointer`) and by git.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import short
from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.history import HistoryRecord, PolicyRef
from dse_cli.registry.atomic import write_once
from dse_cli.registry.documents import load_contract, parse_contract
from dse_cli.registry.findings import AlteredFileError, altered, as_altered
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.store import file_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.registry.documents import Loaded
    from dse_cli.registry.store import SignatureStore

History = tuple[HistoryRecord, ...]

_NAME: Final = re.compile(r"([0-9]{4,})-(?:promote|refuse|rollback)-[0-9a-f]{12}\.json")
#: Stands in a file name for the authored policy when its id is not known.
_AUTHORED: Final = "0" * 12


def record_name(record: HistoryRecord) -> str:
    """Return the file name of a record: its number, its event, and the policy it is about."""
    about = short(record.target.compiled_id) if record.target else _AUTHORED
    return f"{record.sequence:04d}-{record.event}-{about}.json"


def read_history(store: SignatureStore) -> History:
    """Return all records in order, verified.

    Raises:
        AlteredError: a record is missing, altered, misnamed or of another signature; with file
            and line.
    """
    return tuple(loaded.value for loaded in _verified(store))


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
    last = _verified(store)[-1:]
    chained = record.model_copy(
        update={
            "sequence": last[0].value.sequence + 1 if last else 1,
            "previous": last[0].digest if last else None,
        }
    )
    name = f"history/{record_name(chained)}"
    data = json_file_bytes(chained.to_json())
    parse_contract(data, HistoryRecord, name=store.shown(name))
    write_once(store.folder / name, data)
    return chained


def looks(history: Sequence[HistoryRecord], split_hash: str) -> int:
    """Return how often a gate has looked at these holdout rows.

    Args:
        split_hash: hash of the holdout rows. Not the revision of the whole dataset: a new train
            row changes that one, and would make every look at the same holdout the first again.
    """
    return sum(1 for r in history if r.gate is not None and r.gate.split_hash == split_hash)


def standing_target(history: Sequence[HistoryRecord]) -> PolicyRef | None:
    """Return where the pointer should be by its last recorded move; None is the authored policy."""
    stack = _promoted(history)
    return stack[-1] if stack else None


def previous_promoted(history: Sequence[HistoryRecord]) -> PolicyRef | None:
    """Return where a rollback goes: the policy promoted before the one that stands now.

    Promotions are a stack and a rollback takes the top off, so that rolling back twice goes two
    promotions back and never to and fro. None is the authored policy, below all promotions.

    Raises:
        UsageError: the authored policy stands; there is nothing to roll back to.
    """
    stack = _promoted(history)
    if not stack:
        raise UsageError(
            "there is nothing to roll back to: the authored policy is active",
            hint="'dse promote' makes a compiled policy active",
        )
    return stack[-2] if len(stack) > 1 else None


def _promoted(history: Sequence[HistoryRecord]) -> list[PolicyRef]:
    """Return the promoted policies that stand on one another, the active one last."""
    stack: list[PolicyRef] = []
    for record in history:
        target = record.target if record.target and record.target.artifact else None
        if record.event == "promote" and target:
            stack.append(target)
        elif record.event == "rollback":
            stack = _unwound(stack, target)
    return stack


def _unwound(stack: list[PolicyRef], target: PolicyRef | None) -> list[PolicyRef]:
    if target is None:
        return []
    below = [index for index, policy in enumerate(stack[:-1]) if policy == target]
    return stack[: below[-1] + 1] if below else [target]


def _verified(store: SignatureStore) -> list[Loaded[HistoryRecord]]:
    records: list[Loaded[HistoryRecord]] = []
    names = file_names(store.history_folder)
    numbered = {name: match for name in names if (match := _NAME.fullmatch(name))}
    for name in sorted(numbered, key=lambda name: (int(numbered[name].group(1)), name)):
        loaded = load_contract(
            store.history_folder / name, HistoryRecord, name=store.shown(f"history/{name}")
        )
        if problems := list(_problems(name, loaded, records)):
            raise AlteredFileError([as_altered(problem) for problem in problems])
        records.append(loaded)
    if strangers := sorted(set(names) - set(numbered)):
        raise altered(
            store.shown(f"history/{strangers[0]}"),
            "unexpected-file",
            "this is not the name of a history record",
            "move it out of the history",
        )
    return records


def _problems(
    name: str, loaded: Loaded[HistoryRecord], before: Sequence[Loaded[HistoryRecord]]
) -> Iterator[Diagnostic]:
    record, place = loaded.value, loaded.document.diagnostic
    last = before[-1] if before else None
    expected = last.value.sequence + 1 if last else 1
    if last and record.sequence == last.value.sequence:
        other = last.document.name.rsplit("/", 1)[-1]
        message = f"two records have the number {record.sequence}: this one and {other}"
        yield place(("sequence",), "history-fork", message)
    elif record.sequence != expected:
        message = f"record {expected} is missing before this one"
        yield place(("sequence",), "history-gap", message)
    elif record.previous != (last.digest if last else None):
        message = "the record before this one was altered or replaced: the chain is broken"
        yield place(("previous",), "history-chain", message)
    if last and record.signature_id != last.value.signature_id:
        message = f"this record is about another signature than {last.value.signature_id}"
        yield place(("signature_id",), "history-signature", message)
    if record_name(record) != name:
        message = f"by its content this file is {record_name(record)}"
        yield place(("event",), "history-name", message)
