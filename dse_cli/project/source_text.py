"""The text of one file of the project: decoding, lines, positions, and what may be shown of it.

Lines are counted as editors count them (LF, CRLF, CR). What goes into a diagnostic passes through
:meth:`SourceText.shown_line`, which masks everything that looks like a key.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.project import SECRET_SHAPE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_BREAK: Final = re.compile(r"\r\n|\n|\r")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONFLICT: Final = re.compile(r"^<{7}(?=[ \r\n]|\Z)", re.MULTILINE)
_BOM: Final = "\ufeff"


def mask_secrets(text: str) -> str:
    """Replace everything that looks like a key by as many asterisks."""
    return SECRET_SHAPE.sub(lambda match: "*" * len(match.group()), text)


def raise_sorted(problems: Iterable[Diagnostic]) -> None:
    """Raise the problems as one :class:`SpecError`, in file order, each once; nothing if none.

    Raises:
        SpecError: there is at least one problem.
    """
    unique = sorted(
        set(problems),
        key=lambda d: (d.file, d.line, d.column, d.code, d.message, d.hint or ""),
    )
    if unique:
        raise SpecError(unique)


@dataclass(frozen=True)
class SourceText:
    """A decoded file.

    Attributes:
        name: path relative to the project root, with forward slashes.
        text: the whole text.
        first_line: number of the first line, for one line of a JSONL file.
    """

    name: str
    text: str
    first_line: int = 1

    @cached_property
    def _starts(self) -> list[int]:
        return [0, *(match.end() for match in _BREAK.finditer(self.text))]

    @cached_property
    def _end(self) -> int:
        """Offset of the last character that can be pointed at."""
        return max(len(self.text.rstrip()) - 1, 0)

    def position(self, offset: int) -> tuple[int, int]:
        """Return the 1-based line and column of a character; the end is the last visible one."""
        if offset >= len(self.text):
            offset = self._end
        index = bisect_right(self._starts, offset) - 1
        return self.first_line + index, offset - self._starts[index] + 1

    def line_text(self, line: int) -> str:
        """Return a line as it stands in the file without its break; empty when out of range."""
        index = line - self.first_line
        if not 0 <= index < len(self._starts):
            return ""
        end = self._starts[index + 1] if index + 1 < len(self._starts) else len(self.text)
        return self.text[self._starts[index] : end].rstrip("\r\n")

    def shown_line(self, line: int) -> str | None:
        """Return a line for a diagnostic: keys masked, unencodable characters replaced."""
        if line < self.first_line:
            return None
        return _SURROGATE.sub("\ufffd", mask_secrets(self.line_text(line)))

    def diagnostic(
        self, offset: int, code: str, message: str, hint: str | None = None
    ) -> Diagnostic:
        """Return an error at a character offset."""
        line, column = self.position(offset)
        return self.diagnostic_at(line, column, code, message, hint)

    def diagnostic_at(
        self, line: int, column: int, code: str, message: str, hint: str | None = None
    ) -> Diagnostic:
        """Return an error at a 1-based line and column; keys in message and hint are masked."""
        return Diagnostic(
            file=self.name,
            line=line,
            column=column,
            code=code,
            message=_clean(message),
            hint=None if hint is None else _clean(hint),
            source=self.shown_line(line),
        )

    def text_problems(self) -> list[Diagnostic]:
        """Return what is wrong with the text whatever its format: BOM, NUL, conflict markers."""
        problems: list[Diagnostic] = []
        if self.text.startswith(_BOM):
            problems.append(
                self.diagnostic(
                    0,
                    "byte-order-mark",
                    "the file starts with a byte order mark",
                    "save it as UTF-8 without BOM",
                )
            )
        if (nul := self.text.find("\0")) >= 0:
            problems.append(
                self.diagnostic(nul, "nul-character", "the file contains a NUL character")
            )
        if surrogate := _SURROGATE.search(self.text):
            problems.append(
                self.diagnostic(
                    surrogate.start(), "invalid-character", "half of a surrogate pair stands alone"
                )
            )
        problems.extend(
            self.diagnostic(
                match.start(),
                "merge-conflict",
                "unresolved merge conflict",
                "keep one side and remove the lines with <<<<<<<, ======= and >>>>>>>",
            )
            for match in _CONFLICT.finditer(self.text)
        )
        return problems


def _clean(words: str) -> str:
    return _SURROGATE.sub("\ufffd", mask_secrets(words))


def read_source(path: Path, *, name: str, max_bytes: int) -> SourceText:
    """Read a regular file of at most ``max_bytes`` bytes as UTF-8.

    Raises:
        SpecError: missing, unreadable, not a regular file, too large, or not UTF-8.
    """
    try:
        # A FIFO or a device would block or never end; only regular files are opened.
        if path.exists() and not path.is_file():
            raise SpecError([_about_file(name, "not-a-file", "expected a regular file")])
        with path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise SpecError([_about_file(name, "missing-file", "the file does not exist")]) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"the file cannot be read: {reason}"
        raise SpecError([_about_file(name, "unreadable-file", message)]) from error
    return decode_source(data, name=name, max_bytes=max_bytes)


def decode_source(data: bytes, *, name: str, max_bytes: int) -> SourceText:
    """Decode bytes as UTF-8.

    Raises:
        SpecError: larger than ``max_bytes``, or not UTF-8; the message names the byte offset.
    """
    if len(data) > max_bytes:
        message = f"the file is larger than the limit of {max_bytes:,} bytes"
        raise SpecError([_about_file(name, "file-too-large", message)])
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "the file is UTF-16, expected UTF-8"
        raise SpecError([_about_file(name, "not-utf8", message, "save it as UTF-8 without BOM")])
    try:
        return SourceText(name, data.decode("utf-8"))
    except UnicodeDecodeError as error:
        offset = len(data[: error.start].decode("utf-8"))
        source = SourceText(name, data.decode("utf-8", "replace"))
        message = f"not UTF-8: byte 0x{data[error.start]:02x} at offset {error.start}"
        found = source.diagnostic(offset, "not-utf8", message, "save the file as UTF-8")
        raise SpecError([found]) from error


def _about_file(name: str, code: str, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(file=name, line=0, column=0, code=code, message=message, hint=hint)
