"""A file of the store that is not what its hash, its name or its contract says, with its place."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.diagnostic import Diagnostic, Severity
from dse_cli.contracts.errors import AlteredError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.errors import SpecError

RESTORE: Final = "'dse' wrote this file; restore it from git"
_RESOLVE: Final = (
    "two branches moved this pointer, and only one policy can be active: "
    "'dse promote {} --resolve' measures both and keeps one"
)
_EDITED: Final = (
    "'git checkout -- {0}' restores it; a wanted edit belongs in the instruction of "
    "signatures/{1}/signature.yaml or in a variant in its compile.yaml: then compile and promote"
)
_ONE_SIDE: Final = (
    "two branches wrote this file: keep one side of it whole, and of the history remove the later "
    "records of the other"
)


class AlteredFileError(AlteredError):
    """Bytes do not match their digest, name or contract; holds where.

    Attributes:
        diagnostics: at least one, each with outcome ``altered``.
    """

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        first = self.diagnostics[0]
        where = f"{first.file}:{first.line}" if first.line else first.file
        more = f" (and {len(self.diagnostics) - 1} more)" if len(self.diagnostics) > 1 else ""
        super().__init__(f"{where}: {first.message}{more}", hint=first.hint)


def altered(file: str, code: str, message: str, hint: str | None = RESTORE) -> AlteredFileError:
    """Return the error about a whole file."""
    return AlteredFileError([about_file(file, code, message, hint)])


def about_file(
    file: str,
    code: str,
    message: str,
    hint: str | None = RESTORE,
    *,
    severity: Severity = "error",
    outcome: str = "altered",
) -> Diagnostic:
    """Return a finding about a whole file."""
    return Diagnostic(
        file=file,
        line=0,
        column=0,
        code=code,
        message=message,
        hint=hint,
        severity=severity,
        outcome=outcome,
    )


def as_altered(diagnostic: Diagnostic) -> Diagnostic:
    """Return a reader's finding as one about a file that people do not write."""
    return replace(diagnostic, outcome="altered", hint=_hint(diagnostic))


def _hint(diagnostic: Diagnostic) -> str:
    # artifacts/<name>/active.yaml, artifacts/<name>/history/<record>.json
    _, _, inside = diagnostic.file.partition("/")
    name, _, relative = inside.partition("/")
    is_pointer = relative in {"active.yaml", "canary.yaml"}
    if diagnostic.code == "policy-edited":
        return _EDITED.format(diagnostic.file, name)
    if diagnostic.code == "history-fork" or (diagnostic.code == "merge-conflict" and is_pointer):
        return _RESOLVE.format(name)
    return _ONE_SIDE if diagnostic.code == "merge-conflict" else RESTORE


def refused(error: SpecError) -> AlteredFileError:
    """Return what a reader found in a file of the store as an integrity error."""
    return AlteredFileError([as_altered(diagnostic) for diagnostic in error.diagnostics])
