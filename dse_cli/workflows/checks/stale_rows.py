"""Which rows of a dataset are no longer those that the active policy was measured on.

An artifact names its val rows and the gate's record its holdout rows by id, and both hold the hash
of the rows' content. So a row that is gone, that moved or that was added is named; of rows that
stayed, only that some of them changed is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from dse_cli.contracts.dataset import CsvFile, rows_hash
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.project.specs import load_dataset_spec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.dataset import Row, Split
    from dse_cli.contracts.history import GateEvidence
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.workflows.inputs import JobInputs

#: Rows that one finding names.
MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Place:
    """A file of the project and a line of it, 0 for the whole file."""

    file: str
    line: int = 0


@dataclass(frozen=True)
class RowChecks:
    """Compares the rows of now with those behind the active policy.

    Attributes:
        inputs: the job that made the policy, as the tree holds it now.
        hint: what to do about every finding.
    """

    inputs: JobInputs
    hint: str

    def findings(
        self, artifact: CompiledArtifact, gate: GateEvidence | None, train_hash: str | None
    ) -> list[Diagnostic]:
        """Return what changed; empty when the dataset is the one of the artifact.

        Args:
            gate: what promoted the policy, None when no gate did.
            train_hash: hash of the train rows then, None when it is not known.
        """
        dataset = self.inputs.dataset
        if artifact.provenance.dataset_revision == dataset.revision:
            return []
        found: list[Diagnostic] = []
        if rows_hash(self._selected(artifact)) != artifact.provenance.split_hash:
            rows = artifact.evaluation.rows
            found += self._measured("val", rows, artifact.provenance.split_hash)
        if gate is not None:
            found += self._measured("holdout", gate.candidate.rows, gate.split_hash)
        if train_hash is not None and rows_hash(dataset.split("train")) != train_hash:
            found += self._train(artifact)
        if not found:
            message = f"the dataset {dataset.id} changed since the active policy was compiled"
            found = [self._finding(self.files, message)]
        return found

    def _selected(self, artifact: CompiledArtifact) -> tuple[Row, ...]:
        """Return the rows of val that the optimizer would select on now; it may draw some."""
        val = self.inputs.dataset.split("val")
        registered = OPTIMIZERS.get(artifact.optimizer.id)
        if registered is None:
            return val
        try:
            config = registered.parse(artifact.optimizer.config)
        except ValidationError:  # settings of another version of the optimizer
            return val
        return tuple(registered.optimizer.selection(val, config, artifact.provenance.seed))

    @property
    def files(self) -> Place:
        """The one file of rows, or the line of ``dataset.yaml`` that lists them."""
        spec, document = load_dataset_spec(self.inputs.project, self.inputs.job.dataset)
        if len(spec.files) > 1:
            return Place(document.name, document.position(("files",), key=True)[0])
        (file,) = spec.files
        written = file.path if isinstance(file, CsvFile) else file
        path = (self.inputs.project.root / document.name).parent / written
        return Place(self.inputs.project.paths.relative(path.resolve()))

    def _measured(
        self, split: Split, measured: Collection[str], split_hash: str
    ) -> Iterator[Diagnostic]:
        """Yield what became of the rows that the policy was measured on."""
        dataset = self.inputs.dataset
        rows = dataset.split(split)
        if rows_hash(rows) == split_hash:
            return
        here = {row.id: row for row in rows}
        elsewhere = {row.id: row for row in dataset.rows if row.id not in here}
        lost = sorted(set(measured) - here.keys())
        gone = [row_id for row_id in lost if row_id not in elsewhere]
        moved = [elsewhere[row_id] for row_id in lost if row_id in elsewhere]
        added = [here[row_id] for row_id in sorted(here.keys() - set(measured))]
        if gone:
            message = f"{_rows(gone)} that the active policy was measured on "
            message += f"{_is(gone)} gone from the {split} split: {_named(gone)}"
            yield self._finding(self.files, message)
        if moved:
            names = [f"{row.id} is in {row.split} now" for row in moved]
            message = f"{_rows(moved)} that the active policy was measured on left "
            message += f"the {split} split: {_named(names)}"
            yield self._finding(_place(moved[0]), message)
        if added:
            names = [row.id for row in added]
            message = f"{_rows(added)} that the active policy was not measured on "
            message += f"{_was(added)} added to the {split} split: {_named(names)}"
            yield self._finding(_place(added[0]), message)
        if not lost and not added:
            message = f"{split} rows changed content since the active policy was measured on them"
            message += f" (the same {len(rows)} ids, another hash)"
            yield self._finding(self.files, message)

    def _train(self, artifact: CompiledArtifact) -> Iterator[Diagnostic]:
        """Yield what became of the demos that the policy shows, or that the split changed."""
        train = {row.id: row for row in self.inputs.dataset.split("train")}
        shown = artifact.params.few_shot.examples if artifact.params.few_shot else ()
        demos = {demo.id: demo for demo in shown if demo.source != "authored"}
        gone = sorted(demos.keys() - train.keys())
        edited = [
            row
            for name, demo in sorted(demos.items())
            if (row := train.get(name)) is not None
            and (row.input != demo.input or row.expected != _label(demo, row))
        ]
        if gone:
            message = f"{_rows(gone)} that the active policy shows as "
            message += f"demos {_is(gone)} gone from the train split: {_named(gone)}"
            yield self._finding(self.files, message)
        if edited:
            names = [row.id for row in edited]
            message = f"{_rows(edited)} that the active policy shows as demos changed: "
            yield self._finding(_place(edited[0]), message + _named(names))
        if not gone and not edited:
            message = "the train split changed since the active policy was compiled "
            message += f"({_rows(train)} now)"
            yield self._finding(self.files, message)

    def _finding(self, place: Place, message: str) -> Diagnostic:
        return Diagnostic(
            place.file, place.line, 0, "stale-rows", message, self.hint, outcome="stale"
        )


def _label(demo: Demo, row: Row) -> Any:
    """Return the label that a demo shows; one that a policy answered shows none."""
    return row.expected if demo.source == "bootstrapped" else demo.output


def _place(row: Row) -> Place:
    return Place(row.file, row.line)


def _rows(rows: Collection[object]) -> str:
    return f"{len(rows)} row" + ("" if len(rows) == 1 else "s")


def _is(rows: Collection[object]) -> str:
    return "is" if len(rows) == 1 else "are"


def _was(rows: Collection[object]) -> str:
    return "was" if len(rows) == 1 else "were"


def _named(names: list[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
