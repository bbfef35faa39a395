"""How one value is spelled in a YAML file that people review.

A spelling is taken only when YAML 1.1 and YAML 1.2 readers agree on what it means. Characters
that an eye cannot see (control, bidirectional, zero-width, tag characters, odd spaces and line
separators) are always escaped: what a reviewer approves is what the model is told. The list of
them is written out, because Python's own tables change with its version and the bytes must not.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

from dse_cli.registry.json_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

Scalar = str | int | float | bool | None

#: What no reader can see, besides newline and tab. U+200C and U+200D stay: Persian and emoji
#: need them, and a reviewer's editor joins them as the model's tokenizer does.
_UNSEEN: Final = (
    r"\x00-\x08\x0b-\x1f\x7f-\xa0\xad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"
    r"\ufffe\uffff\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_UNSEEN_CHARACTER: Final = re.compile(f"[{_UNSEEN}]")
_ESCAPED: Final = re.compile(rf'[{_UNSEEN}\t\n"\\]')
#: A text without quotes: starts with a letter, so that it is no number, date or indicator.
_PLAIN: Final = re.compile(rf"(?:[A-Za-z]|[^\x00-\x7f{_UNSEEN}])[^{_UNSEEN}\t\n]*")
_PLAIN_BREAKS: Final = re.compile(r":(?= |\Z)| #| \Z")
#: Words that some YAML reader takes for something else than a text.
_WORDS: Final = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_SHORT_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}
_BLOCK_REFUSES: Final = re.compile(r"\A[ \t\n]|[ \t](?=\n|\Z)|\n\t")


def scalar_text(value: Scalar) -> str:
    """Return a value on one line: as it stands where that is safe, else in double quotes."""
    if isinstance(value, str):
        return value if _is_plain(value) else double_quoted(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    text = number_text(value)
    # YAML 1.1 takes a number with an exponent for a text unless it has a point.
    return re.sub(r"^(-?\d+)e", r"\1.0e", text)


def double_quoted(text: str) -> str:
    """Return a text in double quotes on one line."""
    return '"' + _ESCAPED.sub(_escape, text) + '"'


def block_header(text: str) -> str | None:
    """Return ``|``, ``|-`` or ``|+`` when a literal block can hold the text exactly, else None."""
    if not text or _UNSEEN_CHARACTER.search(text) or _BLOCK_REFUSES.search(text):
        return None
    if not text.endswith("\n"):
        return "|-"
    return "|+" if text.endswith("\n\n") else "|"


def block_lines(text: str) -> list[str]:
    """Return the lines of a literal block, not indented; empty lines stay empty."""
    return text.removesuffix("\n").split("\n")


def quoted_lines(text: str) -> Iterator[str]:
    r"""Yield a text in double quotes over several lines, one per line of the text, not indented.

    A backslash at the end of a line continues it, and the reader drops the indentation of the
    next; so a leading space is written ``\ ``.
    """
    yield '"\\'
    lines = re.findall(r"[^\n]*\n|[^\n]+", text)
    for index, line in enumerate(lines):
        written = _ESCAPED.sub(_escape, line)
        start = "\\" if written.startswith(" ") else ""
        yield start + written + ('"' if index == len(lines) - 1 else "\\")


def _is_plain(text: str) -> bool:
    return (
        _PLAIN.fullmatch(text) is not None
        and _PLAIN_BREAKS.search(text) is None
        and text.casefold() not in _WORDS
    )


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if short := _SHORT_ESCAPES.get(character):
        return short
    code = ord(character)
    if code > 0xFFFF:
        return f"\\U{code:08x}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"
