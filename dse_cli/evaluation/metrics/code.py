"""A metric that is a function of the project: called, and what it returns is checked."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dse_cli.canonical import NotCanonicalError, canonical_text
from dse_cli.contracts.metrics.python import PythonMetric
from dse_cli.evaluation.json_values import shortened
from dse_cli.evaluation.metric_result import MetricResult, MetricScoreError, Sample, checked_score

_KEYS: Final = ("score", "feedback", "metadata")
_LONGEST: Final = 1_000  #: characters of what an exception says

#: Whatever the project's code may raise: also what would pass for the end of the process or of a
#: task of ours. Ctrl-C is the person's.
NOT_AN_INTERRUPT: Final = (Exception, SystemExit, GeneratorExit, asyncio.CancelledError)


class CodeMetricError(Exception):
    """The project's function failed, or returned something that is not a result.

    Attributes:
        path: of the file, as tracebacks name it.
        line: in the file.
        what: what happened, without the place.
    """

    def __init__(self, metric: CodeMetric, line: int, what: str) -> None:
        super().__init__(f"{metric.place}:{line}: {what}")
        self.path = metric.path
        self.line = line
        self.what = what


@dataclass(frozen=True, slots=True)
class CodeMetric:
    """A function of the project, as loaded.

    Attributes:
        function: called with output, expected, input and the arguments of the signal.
        file: of the signature's folder, for messages and dependencies.
        path: as tracebacks name it.
        line: where the function begins.
        sha256: digest of the file's bytes.
    """

    function: Callable[..., Any]
    file: str
    path: str
    line: int
    sha256: str

    @property
    def place(self) -> str:
        """The file as a person of the project names it: ``signatures/<name>/metrics.py``."""
        parts = Path(self.path).parts[-3:]
        return "/".join(parts) if parts[:1] == ("signatures",) else self.file

    def score(self, config: PythonMetric, sample: Sample) -> MetricResult:
        """Return what the function says of one output.

        It gets copies, so that it can change nothing; what it prints goes to stderr, where people
        read, and never between the lines of ``--json``.

        Raises:
            CodeMetricError: it raised, or returned no result; with file and line.
        """
        values = copy.deepcopy((sample.output, sample.expected, sample.input))
        try:
            with contextlib.redirect_stdout(sys.stderr):
                returned = self.function(*values, **copy.deepcopy(dict(config.args)))
                return result_of(returned)
        except MetricScoreError as error:
            what = f"{config.function} returned no result: {error}"
            raise CodeMetricError(self, self.line, what) from error
        except NOT_AN_INTERRUPT as error:
            line = line_in(self.path, error) or self.line
            what = f"{config.function} raised {said_by(error)}"
            raise CodeMetricError(self, line, what) from error


def line_in(path: str, error: BaseException) -> int | None:
    """Return the deepest line of a file in the traceback of an error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    return lines[-1] if lines else None


def said_by(error: BaseException) -> str:
    """Return an exception of the project's code in words, bounded; its ``__str__`` may fail too."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - the project's own code
        said = "its message cannot be read"
    return shortened(_printable(f"{type(error).__name__}: {said}"), _LONGEST)


def _printable(text: str) -> str:
    """Return a text that UTF-8 can hold: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode()


def result_of(returned: Any) -> MetricResult:
    """Read what a function returned: a number, ``{score, feedback?, metadata?}``, or a result.

    Raises:
        MetricScoreError: it is something else; says what.
    """
    if isinstance(returned, dict):
        unknown = sorted(str(key) for key in returned if key not in _KEYS)
        if unknown or "score" not in returned:
            what = f"the key {unknown[0]!r}" if unknown else "no key 'score'"
            raise MetricScoreError(f"the mapping has {what}; expected score, feedback, metadata")
        parts = dict(returned)
    elif hasattr(returned, "score"):
        parts = {key: getattr(returned, key) for key in _KEYS if hasattr(returned, key)}
    else:
        return MetricResult(checked_score(returned))
    feedback, metadata = parts.get("feedback", ""), parts.get("metadata", {})
    if feedback is None:
        feedback = ""
    if not isinstance(feedback, str):
        raise MetricScoreError(f"feedback is of type {type(feedback).__name__}; expected a text")
    score = checked_score(parts["score"])
    return MetricResult(score, _printable(feedback), _json_mapping(metadata))


def _json_mapping(metadata: Any) -> dict[str, Any]:
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise MetricScoreError(f"metadata is of type {type(metadata).__name__}; expected a mapping")
    found = dict(metadata)
    try:
        canonical_text(found)
    except (NotCanonicalError, TypeError, ValueError, RecursionError) as error:
        raise MetricScoreError(f"metadata is not JSON: {error}") from error
    return found
