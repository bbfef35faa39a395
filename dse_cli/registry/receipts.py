"""``receipts/<run12>/``: what a compile run did, by hash, and the transcript of its model calls.

The files are written in the order texts, calls, report, artifact, receipt: a folder without
``receipt.json`` is a run that was cut off, and nothing refers to it.

The receipt holds the digests of everything else, and nothing in the store holds the digest of the
receipt: it is anchored by git, and re-derived byte for byte by a strict replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.canonical import sha256_of_bytes, short
from dse_cli.contracts.receipt import CompileReceipt, Digest, Resource
from dse_cli.registry.atomic import write_once
from dse_cli.registry.documents import load_contract, parse_contract, read_bytes
from dse_cli.registry.findings import AlteredFileError, altered, as_altered
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.lookup import Candidate, find_one
from dse_cli.registry.store import ARTIFACT_NAME, SignatureStore, file_names, index_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.registry.documents import Loaded

TEXTS: Final = "texts.jsonl"
CALLS: Final = "calls.jsonl"
REPORT: Final = "report.md"
RECEIPT: Final = "receipt.json"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """What stands beside a receipt, as bytes."""

    calls: bytes
    texts: bytes
    report: bytes

    def by_name(self) -> dict[str, bytes]:
        """Return the files in the order in which they are written."""
        return {TEXTS: self.texts, CALLS: self.calls, REPORT: self.report}


class LoadedRun(NamedTuple):
    """A receipt and its transcript, verified against one another."""

    receipt: CompileReceipt
    calls: bytes
    texts: bytes


class FoundRun(NamedTuple):
    """A run and the store that holds it; ``run`` is the folder name, 12 hex digits."""

    store: SignatureStore
    run: str


def resource(name: str, data: bytes, **annotations: str) -> Resource:
    """Return bytes as a receipt names them."""
    digest = Digest(sha256=sha256_of_bytes(data).removeprefix("sha256:"))
    return Resource(name=name, digest=digest, annotations=dict(annotations))


def artifact_subject(artifact: CompiledArtifact) -> Resource:
    """Return the receipt's subject: the artifact's file, by the digest of its bytes."""
    data = json_file_bytes(artifact.to_json())
    return resource(artifact.signature_id, data, compiled_id=artifact.compiled_id)


def index_subject(index: DemoIndex) -> Resource:
    """Return the receipt's second subject: the index of the winner's demos, where it has one."""
    return resource(index_name(index.digest), json_file_bytes(index.to_json()))


def run_byproducts(files: RunFiles) -> tuple[Resource, ...]:
    """Return the receipt's by-products: each file of the run under its name."""
    return tuple(resource(name, data) for name, data in sorted(files.by_name().items()))


def put_receipt(
    store: SignatureStore,
    run: str,
    receipt: CompileReceipt,
    *,
    calls: bytes,
    texts: bytes,
    report_md: bytes,
    artifact: CompiledArtifact,
    index: DemoIndex | None = None,
) -> str:
    """Write a run: transcript, report, index, artifact, and last the receipt that names them all.

    Args:
        run: ``sha256:...``, the artifact's ``provenance.run``.
        receipt: subject and by-products as :func:`artifact_subject` and :func:`run_byproducts`
            make them.
        index: of the artifact's demos, where its params name one.

    Returns:
        The receipt's folder relative to the store, ``receipts/<run12>``.

    Raises:
        AlteredError: the receipt does not describe these files (nothing is written), or files of
            the run exist with other bytes.
        InfrastructureError: the system refuses to write.
    """
    if run != artifact.provenance.run:
        raise ValueError("the artifact is of another run")
    folder = f"receipts/{short(run)}"
    files = RunFiles(calls, texts, report_md)
    data = json_file_bytes(receipt.to_json())
    loaded = parse_contract(data, CompileReceipt, name=store.shown(f"{folder}/{RECEIPT}"))
    digest = artifact_subject(artifact).digest.sha256
    _raise(
        [
            *_byproduct_problems(loaded, files.by_name()),
            *_subject_problems(loaded, digest, artifact, index),
        ]
    )
    for name, content in files.by_name().items():
        write_once(store.folder / folder / name, content)
    if index is not None:
        store.put_index(index)
    store.put_artifact(artifact)
    write_once(store.folder / folder / RECEIPT, data)
    return folder


def load_receipt(store: SignatureStore, written: str) -> LoadedRun:
    """Read a run by its folder name or a prefix of its hash.

    Raises:
        UsageError: no run, or several, are meant.
        AlteredError: the receipt is missing or malformed, or a file of the run or the artifact is
            not what it says; missing and altered are told apart.
    """
    run = find_one(written, _candidates(store), what="run").label.rsplit("/", 1)[-1]
    folder = f"receipts/{run}"
    shown = store.shown(f"{folder}/{RECEIPT}")
    loaded = load_contract(store.folder / folder / RECEIPT, CompileReceipt, name=shown)
    files = {
        name: read_bytes(store.folder / folder / name, name=store.shown(f"{folder}/{name}"))
        for name in (TEXTS, CALLS, REPORT)
    }
    stored = store.load_artifact(artifact_of_run(store, run))
    digest = stored.digest.removeprefix("sha256:")
    _raise(
        [
            *_byproduct_problems(loaded, files),
            *_subject_problems(
                loaded, digest, stored.artifact, store.load_index(stored.artifact.params)
            ),
        ]
    )
    return LoadedRun(loaded.value, files[CALLS], files[TEXTS])


def read_receipt(store: SignatureStore, run: str) -> CompileReceipt:
    """Read ``receipt.json`` of a run (12 hex digits) alone; nothing is held against it.

    Raises:
        AlteredError: missing or malformed.
    """
    relative = f"receipts/{run}/{RECEIPT}"
    return load_contract(store.folder / relative, CompileReceipt, name=store.shown(relative)).value


def artifact_of_run(store: SignatureStore, run: str) -> str:
    """Return the name of the artifact that a run (12 hex digits) made.

    Raises:
        AlteredError: there is none, or more than one.
    """
    found = [name for name in store.list_artifacts() if name.endswith(f"-{run}.json")]
    if len(found) == 1:
        return found[0]
    what = "more than one artifact" if found else "no artifact"
    shown = store.shown(f"receipts/{run}/{RECEIPT}")
    hint = f"restore {store.shown(f'compiled/*-{run}.json')} from git, or delete this folder"
    if found:
        hint = f"keep one of {', '.join(found)}"
    raise altered(shown, "receipt-subject", f"there is {what} of this run", hint)


def run_of_artifact(name: str) -> str | None:
    """Return the run (12 hex digits) that made ``compiled/<id12>-<run12>.json``, by its name."""
    match = ARTIFACT_NAME.fullmatch(name)
    return match.group(2) if match else None


def list_runs(store: SignatureStore) -> tuple[str, ...]:
    """Return the names of all runs with a receipt, sorted."""
    folder = store.receipts_folder
    return tuple(name for name in file_names(folder) if (folder / name / RECEIPT).exists())


def find_run(artifacts_root: Path, written: str, *, lock_folder: Path) -> FoundRun:
    """Find a run over all signatures of a project.

    Args:
        artifacts_root: the project's ``artifacts`` folder.
        written: a prefix of the run's hash, its folder name, or a path that ends in it.

    Raises:
        UsageError: no run, or several, are meant.
    """
    stores = [
        SignatureStore(artifacts_root / name, lock_folder) for name in _folders(artifacts_root)
    ]
    owners = {f"{s.name}/{run}": FoundRun(s, run) for s in stores for run in list_runs(s)}
    candidates = [candidate for store in stores for candidate in _candidates(store)]
    return owners[find_one(written, candidates, what="run").label]


def _folders(root: Path) -> list[str]:
    return [name for name in file_names(root) if (root / name).is_dir()]


def _candidates(store: SignatureStore) -> list[Candidate]:
    return [_candidate(store, run) for run in list_runs(store)]


def _candidate(store: SignatureStore, run: str) -> Candidate:
    def hashes() -> tuple[str, ...]:
        return (store.load_artifact(artifact_of_run(store, run)).artifact.provenance.run,)

    return Candidate(f"{store.name}/{run}", (run,), hashes)


def _byproduct_problems(
    loaded: Loaded[CompileReceipt], files: dict[str, bytes]
) -> Iterator[Diagnostic]:
    stated = loaded.value.predicate.runDetails.byproducts
    place = ("predicate", "runDetails", "byproducts")
    named = {entry.name: index for index, entry in enumerate(stated)}
    for name, data in sorted(files.items()):
        digest = sha256_of_bytes(data).removeprefix("sha256:")
        if name not in named:
            message = f"the receipt does not name {name}"
            yield loaded.document.diagnostic(place, "receipt-byproduct", message)
        elif stated[named[name]].digest.sha256 != digest:
            message = f"{name} is not the file that the receipt names: it was altered"
            where = (*place, named[name], "digest")
            yield loaded.document.diagnostic(where, "receipt-byproduct", message)


def _subject_problems(
    loaded: Loaded[CompileReceipt],
    digest: str,
    artifact: CompiledArtifact,
    index: DemoIndex | None,
) -> Iterator[Diagnostic]:
    receipt, place = loaded.value, loaded.document.diagnostic
    expected = () if index is None else (index_subject(index),)
    if receipt.subject[1:] != expected:
        message = "the index of this run's demos is not the one the receipt names: one was altered"
        yield place(("subject",), "receipt-subject", message)
    elif not receipt.subject or receipt.subject[0].digest.sha256 != digest:
        message = "the artifact of this run is not the receipt's subject: one was altered"
        yield place(("subject",), "receipt-subject", message)
    elif receipt.subject[0].name != artifact.signature_id:
        message = f"the artifact is of the signature {artifact.signature_id}"
        yield place(("subject", 0, "name"), "receipt-subject", message)
    elif receipt.predicate.result.winner != artifact.compiled_id:
        message = "the winner is not the policy of the artifact"
        yield place(("predicate", "result", "winner"), "receipt-winner", message)


def _raise(problems: list[Diagnostic]) -> None:
    if problems:
        raise AlteredFileError([as_altered(problem) for problem in problems])
