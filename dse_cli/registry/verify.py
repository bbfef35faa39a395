"""Everything ``dse check`` can say about a store, without a model call and without raising."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from dse_cli.contracts.errors import DseError
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.documents import read_bytes
from dse_cli.registry.findings import RESTORE, AlteredFileError, about_file
from dse_cli.registry.history import read_history
from dse_cli.registry.leftovers import empty_runs, temporary_files
from dse_cli.registry.pointer import disagreement, interrupted, read_active
from dse_cli.registry.receipts import RECEIPT, list_runs, load_receipt, run_of_artifact
from dse_cli.registry.store import (
    ARTIFACT_NAME,
    INDEX_NAME,
    file_names,
    index_name,
    stale_parts,
    stale_sentence,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dse_cli.contracts.diagnostic import Diagnostic, Severity
    from dse_cli.contracts.history import ActivePointer
    from dse_cli.contracts.signature import Signature
    from dse_cli.registry.history import History
    from dse_cli.registry.store import SignatureStore, StoredArtifact

#: More stale artifacts than this, and one finding speaks for all of them.
MOST_STALE_LISTED: Final = 3

T = TypeVar("T")
Artifacts = dict[str, "StoredArtifact"]


def verify_store(
    store: SignatureStore, signature: Signature | None, pins: Mapping[str, str] | None = None
) -> list[Diagnostic]:
    """Return every finding about a store, sorted.

    Args:
        signature: as it stands now; None when its file is wrong, then staleness is not judged.
        pins: where jobs pin artifacts, ``FILE:LINE`` by name.
    """
    check = _Check(store)
    artifacts = check.artifacts()
    check.indexes(artifacts)
    pointer, pointer_reads = check.tried("active.yaml", partial(read_active, store))
    history, history_reads = check.tried("history", partial(read_history, store))
    if pointer:
        check.formatting(pointer)
    if pointer_reads and history_reads:
        check.agreement(history or (), pointer)
    check.records(history or (), artifacts)
    if signature:
        check.staleness(artifacts, pointer, signature, pins or {})
    check.receipts()
    check.leftovers()
    return sorted(set(check.found), key=lambda d: (d.file, d.line, d.column, d.code, d.message))


class _Check:
    """Collects findings about one store."""

    def __init__(self, store: SignatureStore) -> None:
        self.store = store
        self.found: list[Diagnostic] = []
        self.artifact_names: frozenset[str] = frozenset()

    def tried(self, relative: str, read: Callable[[], T]) -> tuple[T | None, bool]:
        """Return what could be read and True, or None and False after noting why not."""
        try:
            return read(), True
        except AlteredFileError as error:
            self.found += error.diagnostics
        except DseError as error:
            file = self.store.shown(relative)
            self.found.append(
                about_file(file, "unreadable", error.message, error.hint, outcome=error.outcome)
            )
        except OSError as error:
            reason = error.strerror or str(error)
            self._note(relative, "unreadable", f"cannot be read: {reason}", "fix its permissions")
        return None, False

    def artifacts(self) -> Artifacts:
        """Read every artifact."""
        loaded: Artifacts = {}
        files, _ = self.tried("compiled", partial(file_names, self.store.folder / "compiled"))
        names = [f"compiled/{name}" for name in files or ()]
        self.artifact_names = frozenset(names)
        for name in names:
            if ARTIFACT_NAME.fullmatch(name) is None:
                self._stranger(name)
                continue
            stored, _ = self.tried(name, partial(self.store.load_artifact, name))
            if stored:
                loaded[name] = stored
        return loaded

    def indexes(self, artifacts: Artifacts) -> None:
        """Every index is named by an artifact; its content was held against it with that one."""
        names, _ = self.tried("indexes", self.store.list_indexes)
        used = set()
        for stored in artifacts.values():
            few_shot = stored.artifact.params.few_shot
            if few_shot is not None and few_shot.selector is not None:
                used.add(index_name(few_shot.selector.index))
        for name in names or ():
            if INDEX_NAME.fullmatch(name) is None:
                self._stranger(name)
            elif name not in used and len(artifacts) == len(self.artifact_names):
                message = "no artifact uses this index of demos"
                hint = "delete it, or restore the artifact from git"
                self._note(name, "unused-index", message, hint, severity="warning")

    def formatting(self, pointer: ActivePointer) -> None:
        """Warn when ``active.yaml`` says the right thing in other bytes than DSE writes."""
        data, _ = self.tried(
            "active.yaml", partial(read_bytes, self.store.active_file, name="active.yaml")
        )
        if data is not None and data != render_active(pointer, name=self.store.name).encode():
            self._note(
                "active.yaml",
                "active-formatting",
                "comments or formatting were edited; the policy itself is as compiled",
                "'dse check --fix' writes it as 'dse promote' does",
                severity="warning",
            )

    def agreement(self, history: History, pointer: ActivePointer | None) -> None:
        """The pointer is where the history ends."""
        sentence = disagreement(self.store, history, pointer)
        if not sentence:
            return
        if interrupted(history, pointer):
            hint = "'dse check --fix' completes it, and so does the next 'dse promote'"
            self._note("active.yaml", "interrupted-move", sentence, hint)
        else:
            self._note("active.yaml", "pointer-history", sentence)

    def records(self, history: History, artifacts: Artifacts) -> None:
        """What a rollback could go to is there, and is what was promoted."""
        for record in history:
            target = record.target
            if record.event in ("refuse", "rollback") or target is None or target.artifact is None:
                continue
            stored = artifacts.get(target.artifact)
            if stored is None and target.artifact not in self.artifact_names:
                message = f"promoted by record {record.sequence}, and there is no such artifact"
                hint = f"restore it from git; 'dse rollback {self.store.name}' may need it"
                self._note(target.artifact, "missing-artifact", message, hint, severity="warning")
            elif stored and stored.digest != target.artifact_digest:
                message = f"altered since record {record.sequence} promoted it"
                self._note(target.artifact, "artifact-digest", message)

    def staleness(
        self,
        artifacts: Artifacts,
        pointer: ActivePointer | None,
        signature: Signature,
        pins: Mapping[str, str],
    ) -> None:
        """A stale artifact is a warning; a stale active policy stops predictions.

        The finding is at the signature, which is what a person changed. Only what may be deleted
        is found at the artifact.
        """
        warnings: list[Diagnostic] = []
        for name, stored in artifacts.items():
            if not (changed := stale_parts(stored.artifact, signature)):
                continue
            is_active = pointer is not None and pointer.artifact == name
            what, hint = stale_sentence(changed), f"run 'dse compile {self.store.name}'"
            if is_active:
                message = f"the active policy is stale: {what} ({self.store.shown(name)})"
                hint += " and promote the result"
                self.found.append(self._stale(self._signature_file, message, hint, "error"))
            if name in pins:
                message = f"a pinned artifact is stale: {what} ({self.store.shown(name)})"
                hint = f"{hint}, then put the new id at {pins[name]}, which pins this one"
                self.found.append(self._stale(self._signature_file, message, hint, "warning"))
            if not is_active and name not in pins:
                hint += ", or delete the artifact"
                warnings.append(
                    self._stale(self.store.shown(name), f"stale: {what}", hint, "warning")
                )
        self.found += warnings if len(warnings) <= MOST_STALE_LISTED else [self._folded(warnings)]

    @property
    def _signature_file(self) -> str:
        return f"signatures/{self.store.name}/signature.yaml"

    def _stale(self, file: str, message: str, hint: str, severity: Severity) -> Diagnostic:
        return about_file(file, "stale", message, hint, severity=severity, outcome="stale")

    def _folded(self, warnings: list[Diagnostic]) -> Diagnostic:
        return about_file(
            self.store.shown("compiled"),
            "stale",
            f"{len(warnings)} artifacts are stale, none of them active: the signature changed "
            "since they were compiled",
            "delete those that nobody needs, with the receipts of their runs",
            severity="warning",
            outcome="stale",
        )

    def receipts(self) -> None:
        """Every receipt names its files and its artifact by their true digests; none is missing."""
        names, _ = self.tried("receipts", partial(file_names, self.store.receipts_folder))
        runs, _ = self.tried("receipts", partial(list_runs, self.store))
        if names is None or runs is None:
            return
        empty = empty_runs(self.store)
        for name in names:
            if name in runs:
                self.tried(f"receipts/{name}", partial(load_receipt, self.store, name))
            elif (self.store.receipts_folder / name).is_dir():
                message = f"a run without {RECEIPT}: it was cut off"
                hint = "resume the run, or delete the folder"
                if name in empty:
                    hint = "it is empty: 'dse check --fix' removes it"
                self._note(f"receipts/{name}", "incomplete-run", message, hint, severity="warning")
            else:
                self._stranger(f"receipts/{name}")
        for artifact in sorted(self.artifact_names):
            run = run_of_artifact(artifact)
            if run is not None and run not in runs:
                self._missing_receipt(artifact, run)

    def _missing_receipt(self, artifact: str, run: str) -> None:
        message = f"its receipt is missing: there is no receipts/{run}/{RECEIPT}"
        hint = (
            f"restore {self.store.shown(f'receipts/{run}')} from git, or run "
            f"'dse compile {self.store.name}': the same inputs and answers write it again"
        )
        self._note(artifact, "missing-receipt", message, hint)

    def leftovers(self) -> None:
        """What a process that was killed left behind is a warning."""
        for path in temporary_files(self.store):
            self._note(
                path.relative_to(self.store.folder).as_posix(),
                "leftover",
                "a 'dse' that was killed left this half-written file",
                "'dse check --fix' removes it",
                severity="warning",
            )

    def _stranger(self, relative: str) -> None:
        self._note(
            relative,
            "unexpected-file",
            "'dse' did not write this",
            "move it away",
            severity="warning",
        )

    def _note(
        self,
        relative: str,
        code: str,
        message: str,
        hint: str | None = RESTORE,
        *,
        severity: Severity = "error",
    ) -> None:
        file = self.store.shown(relative)
        self.found.append(about_file(file, code, message, hint, severity=severity))
