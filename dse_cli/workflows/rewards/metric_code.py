"""Python metrics of a project: loaded from its files only when a person allowed it.

One file of the signature's folder is one module, under a private name. It is compiled from the very
bytes that are hashed; nothing is cached beside it and no import path changes, so that nothing else
of the project can be imported and the hash covers all of the project's code that runs.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import sys
from importlib.abc import ExecutionLoader
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import sha256_of_bytes, short
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.metrics.python import PythonMetric
from dse_cli.evaluation.metrics.code import CodeMetric, CodeMetricError, line_in
from dse_cli.evaluation.rewards.reward_checks import signal_config
from dse_cli.project.paths import PathRefusedError, confine
from dse_cli.project.source_text import SourceText, raise_sorted, read_source
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.reward import RewardSpec
    from dse_cli.evaluation.rewards.reward import Reward
    from dse_cli.project.project import Project
    from dse_cli.project.yaml_document import YamlDocument

_MAX_BYTES: Final = 1_000_000
#: Rows on which Python metrics are tried before anything is spent.
_TRIED: Final = 20
_HINT: Final = (
    "read the file, then pass --allow-code, or set 'allow_code: true' in your own user "
    "configuration; a project cannot trust itself"
)


def load_code(
    project: Project, folder: str, spec: RewardSpec, document: YamlDocument
) -> dict[str, CodeMetric]:
    """Return the Python metrics of a reward by ``call``.

    Args:
        folder: of the signature.
        document: the job, for positions.

    Raises:
        SpecError: nobody allowed it (then no file is even read), a file or function is missing, or
            the file does not load.
    """
    calls = _calls(spec)
    if calls and not project.trusts_code:
        raise SpecError(
            [
                document.diagnostic(
                    ("reward", "signals", index, "python", "call"),
                    "code-not-allowed",
                    f"{config.call} is Python code of the project, which nobody allowed to run",
                    _HINT,
                )
                for index, config in calls
            ]
        )
    problems: list[Diagnostic] = []
    found: dict[str, CodeMetric] = {}
    modules: dict[str, _Loaded] = {}
    for index, config in calls:
        where = document.diagnostic(("reward", "signals", index, "python", "call"), "", "")
        try:
            if config.file not in modules:
                modules[config.file] = _load(project, folder, config.file, where)
            found[config.call] = modules[config.file].metric(config)
        except SpecError as error:
            problems += error.diagnostics
    raise_sorted(problems)
    return found


def try_code(reward: Reward, rows: Sequence[Row], project: Project) -> None:
    """Run each Python metric on the expected outputs of the first rows.

    Raises:
        SpecError: one raised or returned no result, with the line in its file.
    """
    for row in rows[:_TRIED]:
        try:
            reward.try_code(row)
        except CodeMetricError as error:
            path = Path(error.path)
            source = read_source(path, name=project.paths.relative(path), max_bytes=_MAX_BYTES)
            said = f"{error.what} (tried with the expected output of row {row.id!r})"
            hint = "return a number from 0 to 1, or {score, feedback, metadata}"
            found = source.diagnostic_at(error.line, 1, "bad-metric", said, hint)
            raise SpecError([found]) from error


class _Loaded:
    """A module of the project, executed."""

    def __init__(self, module: ModuleType, path: Path, source: SourceText, sha256: str) -> None:
        self._module = module
        self._path = path
        self._source = source
        self._sha256 = sha256

    def metric(self, config: PythonMetric) -> CodeMetric:
        """Return one function.

        Raises:
            SpecError: there is none of this name, it is async, or it cannot take the arguments.
        """
        function: Any = getattr(self._module, config.function, None)
        if not callable(function):
            known = [
                name
                for name, value in vars(self._module).items()
                if inspect.isfunction(value) and value.__module__ == self._module.__name__
            ]
            hint = did_you_mean(config.function, known, otherwise="functions")
            raise self._fail(1, f"there is no function {config.function!r} in this file", hint)
        line = _first_line(function)
        if inspect.iscoroutinefunction(function):
            raise self._fail(line, f"{config.function!r} is async", "write it with a plain def")
        try:
            inspect.signature(function).bind(None, None, None, **config.args)
        except (TypeError, ValueError) as error:
            said = f"{config.function!r} cannot be called with output, expected, input"
            given = "".join(f", {name}=..." for name in sorted(config.args))
            raise self._fail(line, f"{said}{given}: {error}") from error
        return CodeMetric(function, self._path.name, str(self._path), line, self._sha256)

    def _fail(self, line: int, message: str, hint: str | None = None) -> SpecError:
        return SpecError([self._source.diagnostic_at(line, 1, "bad-metric", message, hint)])


class _SourceLoader(ExecutionLoader):
    """Executes a text that was read before; no bytecode is read or written."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._text = text

    def get_filename(self, fullname: str) -> str:
        return self._path

    def get_source(self, fullname: str) -> str:
        return self._text


def _calls(spec: RewardSpec) -> list[tuple[int, PythonMetric]]:
    configs = [signal_config(signal)[1] for signal in spec.signals]
    return [(i, config) for i, config in enumerate(configs) if isinstance(config, PythonMetric)]


def _load(project: Project, folder: str, file: str, where: Diagnostic) -> _Loaded:
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
    source = read_source(path, name=project.paths.relative(path), max_bytes=_MAX_BYTES)
    digest = sha256_of_bytes(source.text.encode())
    return _Loaded(_execute(path, source, digest), path, source, digest)


def _execute(path: Path, source: SourceText, digest: str) -> ModuleType:
    name = f"_dse_metric_{short(digest)}_{path.stem}"
    loader = _SourceLoader(str(path), source.text)
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the module look it up by name
    try:
        with contextlib.redirect_stdout(sys.stderr):
            loader.exec_module(module)
    except (Exception, SystemExit) as error:
        sys.modules.pop(name, None)
        line = error.lineno if isinstance(error, SyntaxError) else line_in(str(path), error)
        said = f"{type(error).__name__}: {error}"
        hint = None
        if isinstance(error, ImportError):
            hint = "only installed packages can be imported: other files of the project cannot"
        found = source.diagnostic_at(line or 1, 1, "bad-metric", said, hint)
        raise SpecError([found]) from error
    return module


def _first_line(function: Any) -> int:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return 1 if code is None else int(code.co_firstlineno)


def _at(where: Diagnostic, code: str, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(
        where.file, where.line, where.column, code, message, hint, source=where.source
    )
