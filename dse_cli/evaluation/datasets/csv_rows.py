"""CSV files as dataset rows: a column map, and cells converted by the signature's types.

A cell is text unless its field takes no text; then it is read as the JSON value it spells
(``3``, ``0.5``, ``true``, ``null``, ``[1, 2]``, ``{"a": 1}``) and must be one of the field's types.
An empty cell of a field that takes no text is null where null is allowed, or leaves out an optional
field. Tags are separated by commas or semicolons. Columns that the map does not name are ignored.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.evaluation.schema_fields import types_at
from dse_cli.project.json_document import JsonLine, parse_json
from dse_cli.project.source_text import raise_sorted, read_source
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse_cli.contracts.dataset import CsvColumns
    from dse_cli.contracts.schema import Schema
    from dse_cli.evaluation.datasets.row_builder import RowBuilder
    from dse_cli.project.document import Loc
    from dse_cli.project.source_text import SourceText

_MAX_BYTES: Final = 1_000_000_000
_TAG_SEPARATOR: Final = re.compile("[,;]")
_TYPE_NAMES: Final = {
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}


class CellValueError(ValueError):
    """A cell does not spell a value of its field's types."""


class _Omitted:
    """The type of :data:`OMITTED`: the field is not in the row."""


OMITTED: Final = _Omitted()


@dataclass(frozen=True)
class CsvRows:
    """The rows of a CSV file, in the form that JSONL rows have."""

    source: SourceText
    rows: tuple[JsonLine, ...]

    def __iter__(self) -> Iterator[JsonLine]:
        return iter(self.rows)

    def diagnostic(
        self,
        row: JsonLine,
        loc: Loc,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
    ) -> Diagnostic:
        """Return an error about a row, at its line."""
        return self.source.diagnostic_at(row.line, 0, code, message, hint)


def load_csv(
    path: Path, *, name: str, columns: CsvColumns, builder: RowBuilder
) -> tuple[CsvRows, list[Diagnostic]]:
    """Read a CSV file with a header line.

    Returns:
        The rows whose cells could be converted, and what is wrong with the others.

    Raises:
        SpecError: the file cannot be read, is no CSV, or lacks a column.
    """
    source = read_source(path, name=name, max_bytes=_MAX_BYTES)
    raise_sorted(source.text_problems())
    records = _records(source)
    header = next(records, None)
    if header is None:
        raise SpecError([Diagnostic(name, 0, 0, "empty-file", "the file has no header line")])
    place = _places(source, header.value, columns)
    table = _Table(columns, builder, place)
    rows: list[JsonLine] = []
    problems: list[Diagnostic] = []
    for line, cells in records:
        if not cells:
            continue
        if len(cells) != len(header.value):
            message = f"{len(cells)} cells, but the header has {len(header.value)}"
            problems.append(source.diagnostic_at(line, 0, "cell-count", message))
            continue
        value, found = table.row(cells)
        problems += [source.diagnostic_at(line, 0, "cell-type", message) for message in found]
        if not found:
            rows.append(JsonLine(line, value))
    if not rows and not problems:
        problems.append(Diagnostic(name, 0, 0, "empty-file", "the file has no rows"))
    return CsvRows(source, tuple(rows)), problems


def _records(source: SourceText) -> Iterator[JsonLine]:
    """Yield the first line and the cells of each record; a quoted cell may span lines."""
    reader = csv.reader(io.StringIO(source.text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            message, hint = f"not CSV: {error}", "use JSONL for very long texts"
            hint_or_none = hint if "limit" in str(error) else None
            found = source.diagnostic_at(line, 0, "csv-syntax", message, hint_or_none)
            raise SpecError([found]) from error
        if cells is None:
            return
        yield JsonLine(line, cells)
        line = reader.line_num + 1


def _places(source: SourceText, header: list[str], columns: CsvColumns) -> dict[str, int]:
    """Return the number of each column by name."""
    problems = [
        source.diagnostic_at(1, 0, "duplicate-column", f"the column {name!r} is there twice")
        for name in sorted({name for name in header if header.count(name) > 1})
    ]
    single = [columns.id, columns.split, columns.tags, columns.group]
    wanted = [*columns.input.values(), *columns.expected.values(), *(n for n in single if n)]
    for name in sorted(set(wanted) - set(header)):
        hint = did_you_mean(name, header, otherwise="columns")
        message = f"there is no column {name!r}"
        problems.append(source.diagnostic_at(1, 0, "missing-column", message, hint))
    raise_sorted(problems)
    return {name: index for index, name in enumerate(header)}


class _Table:
    """Turns the cells of a record into a row as JSONL spells it."""

    def __init__(self, columns: CsvColumns, builder: RowBuilder, place: Mapping[str, int]) -> None:
        self._columns, self._builder, self._place = columns, builder, place
        loose = builder.loose_fields
        self._fields = [
            *_fields("input", columns.input, builder.input_schema, frozenset()),
            *_fields("expected", columns.expected, builder.output_schema, loose),
        ]

    def row(self, cells: list[str]) -> tuple[dict[str, Any], list[str]]:
        """Return the row, and what is wrong with its cells."""
        columns, builder, place = self._columns, self._builder, self._place
        row: dict[str, Any] = {"id": cells[place[columns.id]], "input": {}, "expected": {}}
        problems: list[str] = []
        for field in self._fields:
            try:
                value = field.convert(cells[place[field.column]])
            except CellValueError as error:
                problems.append(f"column {field.column!r}: {error}")
                continue
            if value is not OMITTED:
                row[field.part][field.name] = value
        if columns.split is not None and builder.split_field is not None:
            row[builder.split_field] = cells[place[columns.split]]
        if columns.tags is not None:
            tags = _TAG_SEPARATOR.split(cells[place[columns.tags]])
            row["tags"] = [tag for tag in tags if tag.strip()]
        if columns.group is not None and builder.group_field is not None:
            group = cells[place[columns.group]]
            row |= {builder.group_field: group} if group else {}
        return row, problems


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of ``input`` or ``expected``, and what its cells may spell."""

    part: str
    name: str
    column: str
    types: frozenset[str] | None
    is_optional: bool
    is_loose: bool

    def convert(self, cell: str) -> Any:
        """Return the value of a cell.

        Raises:
            CellValueError: it spells none of the field's types.
        """
        if self.is_loose and cell.lstrip().startswith("["):
            return _json_value(cell, frozenset({"array"}))
        if self.types is None or "string" in self.types:
            return cell
        if cell.strip():
            return _json_value(cell, self.types)
        if "null" in self.types:
            return None
        if self.is_optional:
            return OMITTED
        raise CellValueError(f"the cell is empty, expected {' or '.join(sorted(self.types))}")


def _fields(
    part: str, columns: Mapping[str, str], schema: Schema, loose: frozenset[str]
) -> Iterator[_Field]:
    required = schema.get("required", ())
    for name, column in sorted(columns.items()):
        types = types_at(schema, (name,))
        yield _Field(part, name, column, types, name not in required, name in loose)


def _json_value(cell: str, types: frozenset[str]) -> Any:
    text = cell.strip()
    # Spreadsheets write TRUE and FALSE.
    spelled = text.lower() if text in ("TRUE", "FALSE", "True", "False") else text
    expected = " or ".join(sorted(types))
    try:
        value = parse_json(spelled, name="cell").value
    except SpecError as error:
        shown = text if len(text) <= 60 else text[:57] + "..."
        raise CellValueError(f"{shown!r} is not of type {expected}") from error
    kind = _TYPE_NAMES.get(type(value), "string")
    if kind in types or (kind == "integer" and "number" in types):
        return value
    raise CellValueError(f"{text[:60]!r} is of type {kind}, expected {expected}")
