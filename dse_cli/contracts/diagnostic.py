"""A finding about a file, as data. Renderers (terminal, JSON, annotations) live in ``report``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding.

    Attributes:
        file: path relative to the project root, with forward slashes.
        line: 1-based line, 0 when the finding is about the whole file.
        column: 1-based column, 0 when unknown.
        code: stable identifier, kebab-case (``unknown-key``).
        message: one sentence without a full stop.
        hint: what to do, or None.
        source: the offending line as it stands in the file, or None.
        severity: ``error`` decides the exit code, ``warning`` does not.
        outcome: the word for ``--json`` (``spec``, ``altered``, ``stale``, ...).
    """

    file: str
    line: int
    column: int
    code: str
    message: str
    hint: str | None = None
    source: str | None = None
    severity: Severity = "error"
    outcome: str = "spec"
