"""Reads a dataset: every row checked, every problem named, nothing spent.

JSONL rows are ``{id, input, expected, <split field>?, tags?, reviewed?, <group field>?}``; CSV
files have a column map (:mod:`dse_cli.evaluation.datasets.csv_rows`). What holds for one row is in
:mod:`dse_cli.evaluation.datasets.row_builder`; here is what holds between rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from dse_cli.canonical import canonical_bytes, sha256_of
from dse_cli.contracts.dataset import CsvFile, Dataset
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.evaluation.collector import rare_collections
from dse_cli.evaluation.datasets.csv_rows import load_csv
from dse_cli.evaluation.datasets.row_builder import RowBuilder
from dse_cli.evaluation.datasets.row_file import PlacedRow, shortened
from dse_cli.project.json_document import load_jsonl
from dse_cli.project.source_text import raise_sorted

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import DatasetSpec, Row
    from dse_cli.contracts.signature import Signature
    from dse_cli.evaluation.datasets.row_file import RowFile

SPEC_FILE: Final = "dataset.yaml"


@rare_collections()
def load_dataset(
    root_folder: Path,
    spec: DatasetSpec,
    signature: Signature | None,
    *,
    folder: Path,
    loose_fields: frozenset[str] = frozenset(),
    row_problem: Callable[[Row], str | None] = lambda row: None,
) -> Dataset:
    """Read all rows of a dataset.

    Args:
        root_folder: the project root; no file outside of it is read.
        spec: the dataset.
        signature: rows must fit its input and output; None checks everything else only.
        folder: where ``dataset.yaml`` stands; its paths are relative to it.
        loose_fields: output fields whose *expected* value is read by a metric that takes a list
            where the output has one value (``Reward.loose_fields``); not checked for their type.
        row_problem: a further check of each row (``Reward.row_problem``): what is wrong, or None.

    Raises:
        SpecError: every problem of every file, with file and line.
    """
    about = _AboutSpec(root_folder, folder)
    builder = RowBuilder(spec, signature, loose_fields)
    placed: list[PlacedRow] = []
    problems: list[Diagnostic] = []
    paths: set[Path] = set()
    for entry in spec.files:
        try:
            path = about.path_of(entry.path if isinstance(entry, CsvFile) else entry)
            if path in paths:
                about.fail("duplicate-file", f"the file {path.name!r} is listed twice")
            paths.add(path)
            file, found = _read(path, entry, builder, about)
            problems += found
            placed += builder.rows(file, problems)
        except SpecError as error:
            problems += error.diagnostics
    problems += _judged(placed, row_problem)
    problems += _duplicate_ids(placed)
    problems += _shared_inputs(placed)
    raise_sorted(map(shortened, problems))
    rows = tuple(sorted((p.row for p in placed if p.row is not None), key=lambda row: row.id))
    return Dataset(spec.id, rows, dataset_revision(spec.id, rows))


def dataset_revision(dataset_id: str, rows: Iterable[Row]) -> str:
    """Return the hash over the dataset's id and every row in full, in id order."""
    hashes = [row.hash for row in sorted(rows, key=lambda row: row.id)]
    return sha256_of({"id": dataset_id, "rows": hashes})


class _AboutSpec:
    """Where ``dataset.yaml`` stands, for its paths and for diagnostics about it."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root, self.folder = root.resolve(), folder.resolve()

    def path_of(self, written: str) -> Path:
        """Return the file that a path of ``dataset.yaml`` means."""
        hint = "write it relative to dataset.yaml, with forward slashes"
        if "\0" in written or Path(written).is_absolute():
            self.fail("path-outside-project", f"{written!r} is not a relative path", hint)
        # Resolved, so that neither '..' nor a symbolic link leads out.
        try:
            path = (self.folder / written).resolve()
        except (OSError, RuntimeError) as error:  # a loop of symbolic links
            self.fail("unreadable-file", f"{written!r} cannot be resolved: {error}")
        if not path.is_relative_to(self.root):
            self.fail("path-outside-project", f"{written!r} leads out of the project", hint)
        return path

    def name_of(self, path: Path) -> str:
        """Return a path relative to the project root, as diagnostics show it."""
        inside = path.is_relative_to(self.root)
        return path.relative_to(self.root).as_posix() if inside else path.name

    def fail(self, code: str, message: str, hint: str | None = None) -> NoReturn:
        """Raise a :class:`SpecError` about ``dataset.yaml`` as a whole."""
        name = self.name_of(self.folder / SPEC_FILE)
        raise SpecError([Diagnostic(name, 0, 0, code, message, hint)])


def _read(
    path: Path, entry: str | CsvFile, builder: RowBuilder, about: _AboutSpec
) -> tuple[RowFile, list[Diagnostic]]:
    name = about.name_of(path)
    if isinstance(entry, CsvFile):
        problem = builder.column_problem(entry.columns)
        if problem is not None:
            about.fail("column-map", f"{entry.path}: {problem}")
        return load_csv(path, name=name, columns=entry.columns, builder=builder)
    file = load_jsonl(path, name=name)
    if len(file) == 0:
        raise SpecError([Diagnostic(name, 0, 0, "empty-file", "the file has no rows")])
    return file, []


def _judged(
    placed: list[PlacedRow], row_problem: Callable[[Row], str | None]
) -> Iterator[Diagnostic]:
    for here in placed:
        message = None if here.row is None else row_problem(here.row)
        if message is not None:
            yield here.diagnostic(("expected",), "cannot-be-judged", message)


def _duplicate_ids(placed: list[PlacedRow]) -> list[Diagnostic]:
    first: dict[str, PlacedRow] = {}
    found: list[Diagnostic] = []
    for here in placed:
        before = first.setdefault(here.id, here)
        if before is not here:
            message = f"the id {here.id!r} is taken by the row at {before.where}"
            hint = "every row needs an id of its own"
            found.append(here.diagnostic(("id",), "duplicate-id", message, hint))
    return found


def _shared_inputs(placed: list[PlacedRow]) -> list[Diagnostic]:
    """Return the rows whose input also stands in another split, where it would leak."""
    first: dict[bytes, dict[str, PlacedRow]] = {}
    found: list[Diagnostic] = []
    for here in placed:
        if here.row is None:
            continue
        splits = first.setdefault(canonical_bytes(here.row.input), {})
        splits.setdefault(here.row.split, here)
        for split, before in sorted(splits.items()):
            if split != here.row.split:
                message = (
                    f"row {here.id!r} ({here.row.split}) has the same input as row "
                    f"{before.id!r} ({split}) at {before.where}"
                )
                hint = "keep one of them, or put both into one split"
                found.append(here.diagnostic(("input",), "split-leak", message, hint))
    return found
