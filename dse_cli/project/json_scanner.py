"""A JSON reader that remembers where everything stands and says in words what is wrong (RFC 8259).

Slower than :mod:`json` and used only when that has failed or a position is needed.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NoReturn

from dse_cli.project.document import MAX_DEPTH, Entry, Node, Scalar
from dse_cli.project.yaml_scalars import NumberTooLargeError, parse_float, parse_integer

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.source_text import SourceText

_SPACE: Final = re.compile(r"[ \t\n\r]*+")
# Possessive, so that a long unclosed text is refused in one pass.
_STRING: Final = re.compile(
    r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"'
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORDS: Final[dict[str, Scalar]] = {"true": True, "false": False, "null": None}
_WORD: Final = re.compile(r"-?[A-Za-z_]+|[+.][0-9.]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def scan_json(source: SourceText, *, unit: str = "file") -> tuple[Node, list[Diagnostic]]:
    """Return the tree of a JSON text and all problems; the tree is partial when there are some.

    Args:
        unit: what messages call the text: the ``file``, or a ``line`` of JSONL.
    """
    scanner = _Scanner(source, unit)
    try:
        return scanner.whole(), scanner.problems
    except _SyntaxStop as stop:
        found = source.diagnostic(stop.offset, stop.code, stop.message, stop.hint)
        return Node(0), [*scanner.problems, found]


class _SyntaxStop(Exception):  # noqa: N818 - control flow inside this module
    def __init__(
        self, offset: int, message: str, hint: str | None = None, code: str = "json-syntax"
    ) -> None:
        super().__init__(message)
        self.offset, self.message, self.hint, self.code = offset, message, hint, code


class _Scanner:
    def __init__(self, source: SourceText, unit: str) -> None:
        self.source = source
        self.unit = unit
        self.text = source.text
        self.at = 0
        self.problems: list[Diagnostic] = []

    def whole(self) -> Node:
        self._space()
        if self.at >= len(self.text):
            raise _SyntaxStop(
                0, f"the {self.unit} is empty, expected a JSON value", code="empty-file"
            )
        node = self._value(1)
        self._space()
        if self.at < len(self.text):
            message = f"expected the end of the {self.unit} after the JSON value"
            raise _SyntaxStop(self.at, message)
        return node

    def _space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match is not None:
            self.at = match.end()

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _value(self, depth: int) -> Node:
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels"
            raise _SyntaxStop(self.at, message, code="nested-too-deeply")
        match self._peek():
            case "{":
                return self._object(depth)
            case "[":
                return self._array(depth)
            case '"':
                offset = self.at
                return Node(offset, self._string())
            case _:
                return self._number_or_word()

    def _object(self, depth: int) -> Node:
        start = self.at
        entries: dict[str, Entry] = {}
        self.at += 1
        self._space()
        while self._peek() != "}":
            offset = self.at
            if self._peek() != '"':
                self._fail("a key in double quotes")
            key = self._string()
            self._space()
            self._expect(":", "':' after the key")
            self._space()
            value = self._value(depth + 1)
            if key in entries:
                line, column = self.source.position(entries[key].key_offset)
                self._problem(
                    offset,
                    "duplicate-key",
                    f"the key {key!r} is given twice, first at line {line}, column {column}",
                    "remove one of the two",
                )
            else:
                entries[key] = Entry(offset, value)
            self._separator("}")
        self.at += 1
        return Node.mapping(start, entries)

    def _array(self, depth: int) -> Node:
        start = self.at
        items: list[Node] = []
        self.at += 1
        self._space()
        while self._peek() != "]":
            items.append(self._value(depth + 1))
            self._separator("]")
        self.at += 1
        return Node.sequence(start, items)

    def _separator(self, closing: str) -> None:
        self._space()
        if self._peek() == closing:
            return
        comma = self.at
        self._expect(",", f"',' or '{closing}'")
        self._space()
        if self._peek() == closing:
            raise _SyntaxStop(comma, f"a comma before '{closing}'", "remove the comma")

    def _expect(self, character: str, words: str) -> None:
        if self._peek() != character:
            self._fail(words)
        self.at += 1

    def _fail(self, words: str) -> NoReturn:
        found = repr(self._peek()) if self._peek() else f"the end of the {self.unit}"
        hint = "use double quotes" if self._peek() == "'" else None
        raise _SyntaxStop(self.at, f"expected {words}, found {found}", hint)

    def _string(self) -> str:
        match = _STRING.match(self.text, self.at)
        if match is None:
            raise _SyntaxStop(
                self.at,
                "this text is not closed on its line, or holds a wrong escape",
                "write line breaks as \\n and backslashes as \\\\",
            )
        value = str(json.loads(match.group()))
        if _SURROGATE.search(value):
            self._problem(self.at, "invalid-character", "half of a surrogate pair stands alone")
        self.at = match.end()
        return value

    def _number_or_word(self) -> Node:
        offset = self.at
        match = _NUMBER.match(self.text, offset)
        if match is None:
            return self._word(offset)
        self.at = match.end()
        written = match.group()
        if self._peek().isalnum():
            raise _SyntaxStop(offset, f"a number cannot go on with {self._peek()!r}")
        try:
            fraction = match.group(1) or match.group(2)
            return Node(offset, parse_float(written) if fraction else parse_integer(written))
        except NumberTooLargeError as error:
            shown = written if len(written) <= 24 else written[:20] + "..."
            message = f"the number {shown} is {error}"
            self._problem(offset, "number-too-large", message, "write it as a text")
            return Node(offset, 0)

    def _word(self, offset: int) -> Node:
        match = _WORD.match(self.text, offset)
        if match is None:
            self._fail("a JSON value")
        word = match.group()
        self.at = match.end()
        if word in _WORDS:
            return Node(offset, _WORDS[word])
        if word.lstrip("-") in ("NaN", "Infinity"):
            message = f"{word} is not JSON: numbers must be finite"
            self._problem(offset, "number-too-large", message, "write null or a text")
            return Node(offset, 0)
        raise _SyntaxStop(offset, f"{word!r} is not JSON", "put a text in double quotes")

    def _problem(self, offset: int, code: str, message: str, hint: str | None = None) -> None:
        self.problems.append(self.source.diagnostic(offset, code, message, hint))
