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

from dse_cli.canonical import short
from dse_cli.contracts.errors import CodeNotAllowedError, SpecError
from dse_cli.contracts.metrics.python import PythonMetric
from dse_cli.evaluation.metrics.code import (
    NOT_AN_INTERRUPT,
    CodeMetric,
    CodeMetricError,
    line_in,
    said_by,
)
from dse_cli.evaluation.rewards.reward_checks import signal_config
from dse_cli.project.source_text import raise_sorted, read_source
from dse_cli.project.suggest import did_you_mean
from dse_cli.workflows.rewards.metric_file import MAX_BYTES, MetricFile, read_metric_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.reward import RewardSpec
    from dse_cli.evaluation.rewards.reward import Reward
    from dse_cli.project.project import Project
    from dse_cli.project.yaml_document import YamlDocument

#: Rows on which Python metrics are tried before anything is spent.
_TRIED: Final = 20
_HINT: Final = (
    "read the file, then pass --allow-code, or set 'allow_code: true' in your own user "
    "configuration; a project cannot trust itself"
)


def load_code(
    project: Project, folder: str, spec: RewardSpec, document: YamlDocument, *, run: bool = True
) -> dict[str, CodeMetric]:
    """Return the Python metrics of a reward by ``call``.

    Args:
        folder: of the signature.
        document: the job, for positions.
        run: load them; else they are read and hashed only, and cannot score.

    Raises:
        CodeNotAllowedError: nobody allowed it; then no file is even read.
        SpecError: a file or function is missing, or the file does not load.
    """
    calls = _calls(spec)
    if calls and run and not project.trusts_code:
        raise CodeNotAllowedError(
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
    files: dict[str, MetricFile] = {}
    modules: dict[str, _Loaded] = {}
    for index, config in calls:
        where = document.diagnostic(("reward", "signals", index, "python", "call"), "", "")
        try:
            if config.file not in files:
                files[config.file] = read_metric_file(project, folder, config.file, where)
            if not run:
                found[config.call] = files[config.file].unrun(config)
                continue
            if config.file not in modules:
                modules[config.file] = _Loaded(files[config.file])
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
            source = read_source(path, name=project.paths.relative(path), max_bytes=MAX_BYTES)
            said = f"{error.what} (tried with the expected output of row {row.id!r})"
            hint = "return a number from 0 to 1, or {score, feedback, metadata}"
            found = source.diagnostic_at(error.line, 1, "bad-metric", said, hint)
            raise SpecError([found]) from error


class _Loaded:
    """A module of the project, executed."""

    def __init__(self, file: MetricFile) -> None:
        self._file = file
        self._module = _execute(file)

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
            raise self._file.problem(
                1, f"there is no function {config.function!r} in this file", hint
            )
        line = _first_line(function)
        if inspect.iscoroutinefunction(function):
            raise self._file.problem(
                line, f"{config.function!r} is async", "write it with a plain def"
            )
        try:
            inspect.signature(function).bind(None, None, None, **config.args)
        except (TypeError, ValueError) as error:
            said = f"{config.function!r} cannot be called with output, expected, input"
            given = "".join(f", {name}=..." for name in sorted(config.args))
            raise self._file.problem(line, f"{said}{given}: {error}") from error
        path = self._file.path
        return CodeMetric(function, path.name, str(path), line, self._file.sha256)


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


def _execute(file: MetricFile) -> ModuleType:
    path = file.path
    name = f"_dse_metric_{short(file.sha256)}_{path.stem}"
    loader = _SourceLoader(str(path), file.source.text)
    spec = ModuleSpec(name, loader, origin=str(path))
    spec.has_location = True
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses of the module look it up by name
    try:
        with contextlib.redirect_stdout(sys.stderr):
            loader.exec_module(module)
    except NOT_AN_INTERRUPT as error:
        sys.modules.pop(name, None)
        line = error.lineno if isinstance(error, SyntaxError) else line_in(str(path), error)
        said = said_by(error)
        hint = None
        if isinstance(error, ImportError):
            hint = "only installed packages can be imported: other files of the project cannot"
        raise file.problem(line or 1, said, hint) from error
    return module


def _first_line(function: Any) -> int:
    code = getattr(inspect.unwrap(function), "__code__", None)
    return 1 if code is None else int(code.co_firstlineno)
