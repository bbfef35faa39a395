"""Strict JSON files: duplicate keys, NaN and numbers that lose digits are refused, with positions.

The usual case is fast: :mod:`json` reads the text, and positions are only computed when something
has to be said about the file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from dse_cli.project.document import MAX_DEPTH, Document
from dse_cli.project.json_scanner import scan_json
from dse_cli.project.source_text import SourceText, raise_sorted, read_source
from dse_cli.project.yaml_scalars import NumberTooLargeError, parse_float, parse_integer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Loc

MAX_BYTES: Final = 100_000_000
MAX_LINES_BYTES: Final = 1_000_000_000

_HALF_PAIR: Final = re.compile(r"\\u[dD][89a-fA-F]")


class JsonDocument(Document):
    """A parsed JSON file. Its positions are computed when first asked for."""


class JsonLine(NamedTuple):
    """One row of a JSONL file: its 1-based line and its value."""

    line: int
    value: Any


@dataclass(frozen=True)
class JsonLines:
    """The rows of a JSONL file, in file order; iterating yields ``(line, value)``."""

    source: SourceText
    rows: tuple[JsonLine, ...]

    def __iter__(self) -> Iterator[JsonLine]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def row_document(self, row: JsonLine) -> JsonDocument:
        """Return one row as a document, to validate it or to point into it."""
        text = self._lines[row.line - 1]
        return _as_document(SourceText(self.source.name, text, row.line), row.value)

    @cached_property
    def _lines(self) -> list[str]:
        return _split(self.source.text)

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
        """Return an error about the value (or key) at ``loc`` of one row."""
        return self.row_document(row).diagnostic(loc, code, message, hint, key=key)


def load_json(path: Path, *, name: str) -> JsonDocument:
    """Read and parse a JSON file of at most 100 MB.

    Raises:
        SpecError: with every problem found.
    """
    return _document(read_source(path, name=name, max_bytes=MAX_BYTES))


def parse_json(text: str, *, name: str) -> JsonDocument:
    """Parse JSON text; see :func:`load_json`.

    Raises:
        SpecError: with every problem found.
    """
    return _document(SourceText(name, text))


def load_jsonl(path: Path, *, name: str | None = None) -> JsonLines:
    """Read and parse a JSONL file of at most 1 GB.

    Args:
        name: what diagnostics call the file; the file name when omitted.

    Raises:
        SpecError: with the problems of every bad line.
    """
    return _lines(read_source(path, name=name or path.name, max_bytes=MAX_LINES_BYTES))


def parse_jsonl(text: str, *, name: str) -> JsonLines:
    """Parse JSONL text: one JSON value per line, empty lines skipped.

    Raises:
        SpecError: with the problems of every bad line.
    """
    return _lines(SourceText(name, text))


def _document(source: SourceText) -> JsonDocument:
    raise_sorted(source.text_problems())
    value, problems = _decode(source)
    raise_sorted(problems)
    return _as_document(source, value)


def _as_document(source: SourceText, value: Any) -> JsonDocument:
    return JsonDocument(source, value, lambda: scan_json(source)[0])


def _lines(source: SourceText) -> JsonLines:
    raise_sorted(source.text_problems())
    rows: list[JsonLine] = []
    problems: list[Diagnostic] = []
    for number, line in enumerate(_split(source.text), start=1):
        if not line.strip(" \t\r"):
            continue
        value, found = _decode(SourceText(source.name, line, number), unit="line")
        problems += found
        rows.append(JsonLine(number, value))
    raise_sorted(problems)
    return JsonLines(source, tuple(rows))


def _split(text: str) -> list[str]:
    """Split at LF only: the other line breaks of :meth:`str.splitlines` are legal in JSON texts."""
    return text.split("\n")


class _Refused(ValueError):  # noqa: N818 - never leaves this module
    """The fast reader met something that the careful one has to explain."""


def _decode(source: SourceText, *, unit: str = "file") -> tuple[Any, list[Diagnostic]]:
    """Return the value and what is wrong with it."""
    text = source.text
    try:
        value = _DECODER.decode(text)
    except (json.JSONDecodeError, _Refused, NumberTooLargeError, RecursionError):
        pass  # explained by the scan below
    else:
        suspicious = text.count("[") + text.count("{") > MAX_DEPTH or _HALF_PAIR.search(text)
        if not suspicious or _is_sound(value, 1):
            return value, []
    node, problems = scan_json(source, unit=unit)
    return node.to_value(), problems


def _is_sound(value: Any, depth: int) -> bool:
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            return False
        parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
        return all(_is_sound(part, depth + 1) for part in parts)
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("duplicate key")
    return found


def _refuse(word: str) -> NoReturn:
    raise _Refused(word)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique,
    parse_constant=_refuse,
    parse_int=parse_integer,
    parse_float=parse_float,
)
