"""A strict CSV reader: a header, rows of its width, and the line on which each row starts."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.project.source_text import SourceText, raise_sorted, read_source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dse_cli.contracts.diagnostic import Diagnostic

MAX_BYTES: Final = 1_000_000_000


class CsvRow(NamedTuple):
    """One row: the 1-based line on which it starts, and its cells by column name."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class CsvTable:
    """The rows of a CSV file, in file order; iterating yields ``(line, cells)``."""

    source: SourceText
    columns: tuple[str, ...]
    rows: tuple[CsvRow, ...]

    def __iter__(self) -> Iterator[CsvRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def diagnostic(self, line: int, code: str, message: str, hint: str | None = None) -> Diagnostic:
        """Return an error about a line."""
        return self.source.diagnostic_at(line, 1, code, message, hint)


def load_csv(path: Path, *, name: str | None = None) -> CsvTable:
    """Read a CSV file with a header (RFC 4180: commas, double quotes) of at most 1 GB.

    Raises:
        SpecError: with every problem found.
    """
    return _table(read_source(path, name=name or path.name, max_bytes=MAX_BYTES))


def parse_csv(text: str, *, name: str) -> CsvTable:
    """Parse CSV text; see :func:`load_csv`.

    Raises:
        SpecError: with every problem found.
    """
    return _table(SourceText(name, text))


def _table(source: SourceText) -> CsvTable:
    raise_sorted(source.text_problems())
    problems: list[Diagnostic] = []
    records: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    line = 1
    try:
        for record in reader:
            if record:
                records.append((line, record))
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(
            source.diagnostic_at(
                max(line, 1), 1, "csv-syntax", f"not CSV: {error}", "check the quotes of this row"
            )
        )
    if not records and not problems:
        problems.append(
            source.diagnostic_at(1, 1, "empty-file", "the file is empty, expected a header line")
        )
    raise_sorted(problems)
    header_line, columns = records[0] if records else (1, [])
    problems += _header_problems(source, header_line, columns)
    rows: list[CsvRow] = []
    for start, record in records[1:]:
        if len(record) != len(columns):
            message = f"the row has {len(record)} cells, the header has {len(columns)}"
            hint = "put cells with commas or line breaks in double quotes"
            problems.append(source.diagnostic_at(start, 1, "csv-width", message, hint))
        rows.append(CsvRow(start, dict(zip(columns, record, strict=False))))
    raise_sorted(problems)
    return CsvTable(source, tuple(columns), tuple(rows))


def _header_problems(source: SourceText, line: int, columns: list[str]) -> list[Diagnostic]:
    problems = []
    for index, column in enumerate(columns):
        if not column.strip():
            message = f"column {index + 1} has no name"
            problems.append(source.diagnostic_at(line, 1, "csv-header", message))
        elif column in columns[:index]:
            message = f"the column {column!r} is given twice"
            problems.append(source.diagnostic_at(line, 1, "csv-header", message))
    return problems
