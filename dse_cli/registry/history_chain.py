"""Verifying the files of a history: each names the one before it by its digest.

No record can be changed, dropped or put in between without breaking the chain behind it. Two git
branches that both recorded something make a fork: two ends behind a common beginning. A ``resolve``
record joins them, by naming the last record of both; so a sound history has one end, from which
every record can be reached, and that end has the highest number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse_cli.canonical import sha256_of, sha256_of_bytes, short
from dse_cli.contracts.history import HistoryRecord
from dse_cli.registry.documents import load_contract
from dse_cli.registry.findings import AlteredFileError, altered, as_altered
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.store import file_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.registry.documents import Loaded
    from dse_cli.registry.store import SignatureStore

_NAME: Final = re.compile(
    r"([0-9]{4,})-(?:promote|refuse|rollback|refresh|resolve)-[0-9a-f]{12}\.json"
)
#: Stands in a file name for the authored policy when its id is not known.
_AUTHORED: Final = "0" * 12


@dataclass(frozen=True, slots=True)
class Chain:
    """Records in the order of their numbers, whose links hold.

    Attributes:
        ends: records that no other builds on; one, unless branches were merged.
    """

    records: tuple[Loaded[HistoryRecord], ...]
    ends: tuple[Loaded[HistoryRecord], ...]


def record_name(record: HistoryRecord) -> str:
    """Return the file name of a record: its number, its event, and the policy it is about."""
    # What stops a canary has no target: there is none any more.
    policy = record.target or (record.source if record.channel == "canary" else None)
    about = short(policy.compiled_id) if policy else _AUTHORED
    return f"{record.sequence:04d}-{record.event}-{about}.json"


def sealed(record: HistoryRecord) -> HistoryRecord:
    """Return a record with the digest of all else that it says.

    The record behind it holds the digest of its file, and the last one has none behind it yet.
    """
    body = record.to_json()
    body.pop("digest", None)
    return record.model_copy(update={"digest": sha256_of(body)})


def read_chain(store: SignatureStore, *, forked: bool = False) -> Chain:
    """Read every record and verify every link.

    Args:
        forked: whether the history may have more than one end.

    Raises:
        AlteredError: a record is missing, altered, misnamed or of another signature, or the history
            is forked; with file and line.
    """
    names = file_names(store.history_folder)
    numbered = {name: match for name in names if (match := _NAME.fullmatch(name))}
    records = tuple(
        load_contract(
            store.history_folder / name, HistoryRecord, name=store.shown(f"history/{name}")
        )
        for name in sorted(numbered, key=lambda name: (int(numbered[name].group(1)), name))
    )
    chain = Chain(records, _ends(records))
    problems = list(_broken_links(chain))
    if not problems and not forked:
        problems = list(_forks(chain))
    problems += _strange(chain)
    if problems:
        raise AlteredFileError([as_altered(problem) for problem in problems])
    if strangers := sorted(set(names) - set(numbered)):
        raise altered(
            store.shown(f"history/{strangers[0]}"),
            "unexpected-file",
            "this is not the name of a history record",
            "move it out of the history",
        )
    return chain


def behind(chain: Chain, end: Loaded[HistoryRecord]) -> tuple[HistoryRecord, ...]:
    """Return the records that one end builds on, and the end itself, in order."""
    wanted = {end.digest}
    found = []
    for loaded in reversed(chain.records):
        if loaded.digest in wanted:
            wanted.update(_links(loaded.value))
            found.append(loaded.value)
    return tuple(reversed(found))


def _links(record: HistoryRecord) -> list[str]:
    return [digest for digest in (record.previous, record.merges) if digest is not None]


def _ends(records: tuple[Loaded[HistoryRecord], ...]) -> tuple[Loaded[HistoryRecord], ...]:
    built_on = {digest for loaded in records for digest in _links(loaded.value)}
    return tuple(loaded for loaded in records if loaded.digest not in built_on)


def _broken_links(chain: Chain) -> Iterator[Diagnostic]:
    """Yield every record that does not follow from records that are there."""
    numbers: dict[str, int] = {}
    present = {loaded.value.sequence for loaded in chain.records}
    for loaded in chain.records:
        record, place = loaded.value, loaded.document.diagnostic
        lost = [digest for digest in _links(record) if digest not in numbers]
        expected = 1 + max((numbers[digest] for digest in _links(record) if not lost), default=0)
        if record.sequence > 1 and record.sequence - 1 not in present:
            missing = max((number for number in present if number < record.sequence), default=0) + 1
            message = f"record {missing} is missing before this one"
            yield place(("sequence",), "history-gap", message)
        elif lost:
            which = "previous" if record.previous in lost else "merges"
            message = "the record before this one was altered or replaced: the chain is broken"
            yield place((which,), "history-chain", message)
        elif record.sequence != expected:
            message = f"by the records that it builds on, this record has the number {expected}"
            yield place(("sequence",), "history-chain", message)
        elif (record.merges is not None) != (record.event == "resolve"):
            message = "a resolve joins two branches, and nothing else does"
            yield place(("event",), "history-chain", message)
        numbers[loaded.digest] = record.sequence


def _forks(chain: Chain) -> Iterator[Diagnostic]:
    if len(chain.ends) < 2:
        return
    seen: dict[int, str] = {}
    for loaded in chain.records:
        number = loaded.value.sequence
        name = loaded.document.name.rsplit("/", 1)[-1]
        if number in seen and not _joined(chain, number):
            message = f"two records have the number {number}: this one and {seen[number]}"
            yield loaded.document.diagnostic(("sequence",), "history-fork", message)
            return
        seen[number] = name


def _joined(chain: Chain, number: int) -> bool:
    """Tell whether the records of this number are all behind every end."""
    here = [loaded for loaded in chain.records if loaded.value.sequence == number]
    if len({loaded.digest for loaded in here}) < len(here):
        return False  # one record under two names
    return all(loaded.value in behind(chain, end) for end in chain.ends for loaded in here)


def _strange(chain: Chain) -> Iterator[Diagnostic]:
    for loaded in chain.records:
        record, place = loaded.value, loaded.document.diagnostic
        if record.signature_id != chain.records[0].value.signature_id:
            first = chain.records[0].value.signature_id
            message = f"this record is about another signature than {first}"
            yield place(("signature_id",), "history-signature", message)
        if record.digest is not None and sealed(record).digest != record.digest:
            message = "this record was edited: it is not what its own digest says"
            yield place(("digest",), "history-digest", message)
        if record_name(record) != loaded.document.name.rsplit("/", 1)[-1]:
            message = f"by its content this file is {record_name(record)}"
            yield place(("event",), "history-name", message)
        if sha256_of_bytes(json_file_bytes(record.to_json())) != loaded.digest:
            # Its followers name it by the digest of its bytes: it has one spelling.
            message = "this file says what a record says, but not as 'dse' writes it"
            yield place((), "history-formatting", message)
