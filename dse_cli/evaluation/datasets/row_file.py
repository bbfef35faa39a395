"""A row as it stands in a file: where it is, and what is said about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Loc
    from dse_cli.project.json_document import JsonLine
    from dse_cli.project.source_text import SourceText

_LONGEST_LINE: Final = 240


class RowFile(Protocol):
    """A file of rows that can point into itself."""

    @property
    def source(self) -> SourceText:
        """The text of the file."""
        ...

    def __iter__(self) -> Iterator[JsonLine]: ...

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
        ...


@dataclass(frozen=True, slots=True)
class PlacedRow:
    """A row and where it stands; ``row`` is None when something is wrong with it."""

    id: str
    row: Row | None
    file: RowFile
    line: JsonLine

    @property
    def where(self) -> str:
        """File and line."""
        return f"{self.file.source.name}:{self.line.line}"

    def diagnostic(self, loc: Loc, code: str, message: str, hint: str | None = None) -> Diagnostic:
        """Return an error about a part of the row."""
        return self.file.diagnostic(self.line, loc, code, message, hint)


class Draft:
    """A row on its way, with a place for what is wrong with it."""

    def __init__(self, file: RowFile, line: JsonLine, problems: list[Diagnostic]) -> None:
        self.file, self.line, self.value = file, line, line.value
        self.failed = False
        self._problems = problems

    def fail(
        self, loc: Loc, code: str, message: str, hint: str | None = None, *, key: bool = False
    ) -> None:
        """Note an error about the value (or key) at ``loc``."""
        self.failed = True
        self._problems.append(self.file.diagnostic(self.line, loc, code, message, hint, key=key))


def shortened(found: Diagnostic) -> Diagnostic:
    """Return a diagnostic whose line fits a terminal; rows can be very long."""
    if found.source is None or len(found.source) <= _LONGEST_LINE:
        return found
    return replace(found, source=found.source[: _LONGEST_LINE - 3] + "...")
