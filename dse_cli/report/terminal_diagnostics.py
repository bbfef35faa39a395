"""Diagnostics for people, for programs and for a pull request.

::

    error[unknown-key]: unknown key 'modles'
      --> dse.yaml:2:1
       |
    2  | modles: {}
       | ^
       hint: did you mean 'models'?

    found 1 error

Everything reads without colour. What stands in a file is data: control characters and characters
that turn the direction of text are shown as escapes, so that no file can write to a terminal.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from dse_cli.report.plain import ACTIONS_COMMAND, DISARMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dse_cli.contracts.diagnostic import Diagnostic

#: Widest piece of a source line that is shown, in characters.
MAX_SHOWN: Final = 100
_TAB: Final = "    "
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\n]"
)
_RED, _YELLOW, _BLUE, _CYAN, _BOLD, _RESET = (
    "\x1b[1;31m",
    "\x1b[1;33m",
    "\x1b[1;34m",
    "\x1b[36m",
    "\x1b[1m",
    "\x1b[0m",
)


def render_diagnostics(diagnostics: Iterable[Diagnostic], *, color: bool) -> str:
    """Return the diagnostics as text for a terminal, one blank line between two, and a count."""
    found = list(diagnostics)
    if not found:
        return ""
    blocks = [_block(diagnostic, color=color) for diagnostic in found]
    return "\n\n".join([*blocks, _count(found)]) + "\n"


def diagnostics_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Return the diagnostics for ``--json``; absent hints and lines are null."""
    return [
        {
            "code": found.code,
            "column": found.column,
            "file": found.file,
            "hint": found.hint,
            "line": found.line,
            "message": found.message,
            "outcome": found.outcome,
            "severity": found.severity,
            "source": found.source,
        }
        for found in diagnostics
    ]


def github_annotations(diagnostics: Iterable[Diagnostic]) -> str:
    """Return GitHub workflow commands (``::error file=...``), one line for each diagnostic.

    Source: "Workflow commands for GitHub Actions"; values are escaped as its toolkit does.
    """
    lines = []
    for found in diagnostics:
        properties = {"file": found.file}
        if found.line > 0:
            properties["line"] = str(found.line)
        if found.column > 0:
            properties["col"] = str(found.column)
        properties["title"] = found.code
        listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
        text = found.message if found.hint is None else f"{found.message}\nhint: {found.hint}"
        lines.append(f"::{found.severity} {listed}::{_data(text)}\n")
    return "".join(lines)


def _block(found: Diagnostic, *, color: bool) -> str:
    def paint(code: str, text: str) -> str:
        return f"{code}{text}{_RESET}" if color else text

    level = paint(_RED if found.severity == "error" else _YELLOW, f"{found.severity}[{found.code}]")
    place = found.file
    if found.line > 0:
        place += f":{found.line}" + (f":{found.column}" if found.column > 0 else "")
    # The gutter is as wide as the line number, so that the arrow and the bars stand in line.
    gutter = " " * (len(str(found.line)) if found.line > 0 and found.source is not None else 1)
    bar = paint(_BLUE, "|")
    lines = [
        f"{level}: {paint(_BOLD, _safe(found.message))}",
        f"{gutter} {paint(_BLUE, '-->')} {paint(_CYAN, _safe(place))}",
    ]
    if found.source is not None and found.line > 0:
        shown, caret = _excerpt(found.source, found.column)
        number = paint(_BLUE, str(found.line))
        lines += [f"{gutter}  {bar}", f"{number}  {bar} {shown}"]
        lines.append(f"{gutter}  {bar} {' ' * caret}{paint(_RED, '^')}" if found.column else "")
    if found.hint is not None:
        lines.append(f"{gutter}  {paint(_CYAN, 'hint')}: {_safe(found.hint)}")
    return "\n".join(line.rstrip() for line in lines if line)


def _excerpt(source: str, column: int) -> tuple[str, int]:
    """Return the part of a line around a column, and the width of what stands before it."""
    start, end = 0, len(source)
    if end > MAX_SHOWN:
        start = max(0, min(column - 1 - MAX_SHOWN // 3, end - MAX_SHOWN))
        end = start + MAX_SHOWN
    before, after = source[start : max(column - 1, start)], source[max(column - 1, start) : end]
    left = "..." if start > 0 else ""
    right = "..." if end < len(source) else ""
    head = left + _visible(before)
    return head + _visible(after) + right, _width(head)


def _visible(text: str) -> str:
    return _safe(text.replace("\t", _TAB))


def _safe(text: str) -> str:
    return _UNSAFE.sub(_escape, text).replace(ACTIONS_COMMAND, DISARMED)


def _escape(match: re.Match[str]) -> str:
    return "\\n" if match.group() == "\n" else f"<U+{ord(match.group()):04X}>"


def _width(text: str) -> int:
    """Return the columns that a text takes: East Asian wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _count(found: list[Diagnostic]) -> str:
    errors = sum(diagnostic.severity == "error" for diagnostic in found)
    warnings = len(found) - errors
    parts = [
        f"{number} {word}{'s' if number != 1 else ''}"
        for number, word in ((errors, "error"), (warnings, "warning"))
        if number
    ]
    return "found " + " and ".join(parts)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
