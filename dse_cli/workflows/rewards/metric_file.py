"""A file of Python metrics, read and never run: its bytes, their hash, and what it defines.

This is all that ``dse check`` needs without ``--allow-code``: a project whose metrics nobody
allowed to run here can still be proved sound, stale or altered.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import sha256_of_bytes
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.evaluation.metrics.code import CodeMetric
from dse_cli.project.paths import PathRefusedError, confine
from dse_cli.project.source_text import SourceText, read_source
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.python import PythonMetric
    from dse_cli.project.project import Project

MAX_BYTES: Final = 1_000_000


@dataclass(frozen=True)
class MetricFile:
    """One file of Python metrics.

    Attributes:
        path: inside the signature's folder.
        source: its text, for positions.
        sha256: digest of its bytes.
    """

    path: Path
    source: SourceText
    sha256: str

    def problem(self, line: int, message: str, hint: str | None = None) -> SpecError:
        """Return the error about a line of the file."""
        return SpecError([self.source.diagnostic_at(line, 1, "bad-metric", message, hint)])

    def unrun(self, config: PythonMetric) -> CodeMetric:
        """Return a function of the file by its name alone; to call it is a bug of ours.

        Raises:
            SpecError: the file is not Python, or it has no such function.
        """
        try:
            tree = ast.parse(self.source.text, str(self.path))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = error.lineno if isinstance(error, SyntaxError) else None
            raise self.problem(line or 1, f"{type(error).__name__}: {error}") from error
        names = _defined(tree)
        if config.function not in names:
            hint = did_you_mean(config.function, sorted(names), otherwise="functions")
            raise self.problem(1, f"there is no function {config.function!r} in this file", hint)
        line = names[config.function]
        return CodeMetric(_never, self.path.name, str(self.path), line, self.sha256)


def read_metric_file(project: Project, folder: str, file: str, where: Diagnostic) -> MetricFile:
    """Read a file of the signature's folder.

    Args:
        where: the place in the job that names it, for what is wrong with the name.

    Raises:
        SpecError: it is missing, too large, or not in that folder.
    """
    home = project.paths.signature(folder)
    try:
        path = confine(project.root, home, file)
        if path.parent != home.resolve():
            raise PathRefusedError("the file is a link out of the signature's folder")
    except PathRefusedError as error:
        raise SpecError([_at(where, "path-refused", str(error))]) from error
    if not path.is_file():
        near = sorted(other.name for other in home.glob("*.py"))
        hint = did_you_mean(file, near, otherwise="Python files there")
        said = f"there is no {file} beside signature.yaml"
        raise SpecError([_at(where, "missing-file", said, hint)])
    source = read_source(path, name=project.paths.relative(path), max_bytes=MAX_BYTES)
    return MetricFile(path, source, sha256_of_bytes(source.text.encode()))


def _defined(tree: ast.Module) -> dict[str, int]:
    """Return the line of every name that the module binds at its top, functions and others."""
    names: dict[str, int] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[node.name] = node.lineno
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name: node.lineno for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {t.id: node.lineno for t in node.targets if isinstance(t, ast.Name)}
    return names


def _never(*_: Any, **__: Any) -> None:
    raise RuntimeError("this metric was read and not loaded")


def _at(where: Diagnostic, code: str, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(
        where.file, where.line, where.column, code, message, hint, source=where.source
    )
