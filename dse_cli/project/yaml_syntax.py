"""YAML syntax errors in plain words: what libyaml says, and what a person most likely did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import yaml

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.source_text import SourceText


class _Words(NamedTuple):
    message: str
    hint: str | None
    at_start: bool = False  # the place to look at is where the construct began


_QUOTE_COLON = "put the value in quotes if it contains ': ', or check the indentation"
_CLOSE = "close it, or quote the text if the bracket belongs to it"

_OPEN_LIST: Final = _Words("a list with '[' is not closed", _CLOSE, at_start=True)
_OPEN_MAPPING: Final = _Words("a mapping with '{' is not closed", _CLOSE, at_start=True)

#: By the start of what the parser says (libyaml and PyYAML use nearly the same words).
_KNOWN: Final[tuple[tuple[str, _Words], ...]] = (
    (
        "mapping values are not allowed",
        _Words("a ':' is not expected here", _QUOTE_COLON),
    ),
    (
        "could not find expected ':'",
        _Words("expected ':' after a key", "write 'key: value', or check the indentation"),
    ),
    (
        "did not find expected key",
        _Words(
            "this does not continue the mapping it stands in",
            "check the indentation and the quotes of the lines before",
        ),
    ),
    (
        "expected <block end>",
        _Words(
            "this does not continue what it stands in",
            "check the indentation and the quotes of the lines before",
        ),
    ),
    (
        "did not find expected '-' indicator",
        _Words("expected '-' and an item of the list", "check the indentation"),
    ),
    ("did not find expected ',' or ']'", _OPEN_LIST),
    ("did not find expected ',' or '}'", _OPEN_MAPPING),
    ("expected ',' or ']'", _OPEN_LIST),
    ("expected ',' or '}'", _OPEN_MAPPING),
    (
        "found unexpected end of stream",
        _Words("a text in quotes is not closed", "add the closing quote", at_start=True),
    ),
    (
        "found unexpected document indicator",
        _Words("a text in quotes is not closed", "add the closing quote", at_start=True),
    ),
    (
        "found unknown escape character",
        _Words(
            "unknown escape after a backslash",
            "double the backslash, or use single quotes",
        ),
    ),
    (
        "did not find expected node content",
        _Words("expected a value here", "close the bracket before it, or put the text in quotes"),
    ),
    (
        "expected the node content",
        _Words("expected a value here", "close the bracket before it, or put the text in quotes"),
    ),
    ("found undefined tag handle", _Words("unknown tag", "quote text that starts with '!'")),
    (
        "did not find expected alphabetic or numeric character",
        _Words("'*' or '&' without a name", "quote text that starts with '*' or '&'"),
    ),
)


def explain_syntax(error: Exception, source: SourceText) -> Diagnostic:
    """Return a parser's error as a diagnostic at its place."""
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    offset = min(int(mark.index), len(source.text)) if mark is not None else 0
    if isinstance(error, yaml.reader.ReaderError):
        offset = min(int(error.position), len(source.text))
    line, _ = source.position(offset)
    if "\t" in _indentation(source.line_text(line)):
        column = source.line_text(line).index("\t") + 1
        message = "a tab cannot indent YAML"
        return source.diagnostic_at(line, column, "tab-indentation", message, "use spaces")
    words = _words(problem, source.text[offset : offset + 1])
    context = getattr(error, "context_mark", None)
    if words.at_start and context is not None:
        offset = min(int(context.index), len(source.text))
    return source.diagnostic(offset, "yaml-syntax", words.message, words.hint)


def _words(problem: str, character: str) -> _Words:
    if "cannot start any token" in problem:
        shown = repr(character) if character else "this"
        return _Words(f"a text cannot start with {shown} without quotes", "put it in quotes")
    for start, words in _KNOWN:
        if problem.startswith(start):
            return words
    return _Words(f"this is not YAML: {problem.splitlines()[0] if problem else 'unreadable'}", None)


def _indentation(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
