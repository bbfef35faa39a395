"""The reward of one output: weighted signals that add up to a scalar in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.canonical import sha256_of
from dse_cli.contracts.errors import DseError
from dse_cli.contracts.evaluation import CellError, SignalScore
from dse_cli.evaluation.metric_result import MetricError
from dse_cli.evaluation.metrics import METRICS, Metric
from dse_cli.evaluation.schema_fields import names_at, parts_of, schemas_at, types_at
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.reward import MetricConfig, RewardSpec
    from dse_cli.contracts.signature import Signature

#: Metrics that read a list in ``expected`` where the output field holds one value.
_LOOSE: Final = frozenset({"one_of", "contains"})
#: What each metric can judge; a metric that is not here takes any type.
_NEEDS: Final = {
    "contains": (frozenset({"string"}), "a text"),
    "regex": (frozenset({"string"}), "a text"),
    "numeric": (frozenset({"number", "integer"}), "a number"),
}


class ScoredOutput(NamedTuple):
    """What the reward says of one cell.

    Attributes:
        reward: in [0, 1]; None when a metric failed, which is not a wrong answer.
        signals: one per signal, in the order of the reward; empty when a metric failed.
        error: the decode error passed in, or the metric's.
    """

    reward: float | None
    signals: tuple[SignalScore, ...]
    error: CellError | None


class RewardProblem(NamedTuple):
    """Why a reward does not fit a signature.

    Attributes:
        location: path inside the reward (``("signals", 1, "exact_match", "field")``).
        message: one sentence.
        hint: what to do, or None.
    """

    location: tuple[str | int, ...]
    message: str
    hint: str | None


class _Part(NamedTuple):
    """One signal, ready to score."""

    id: str
    name: str
    metric: Metric
    config: MetricConfig


class Reward:
    """Scores outputs by a declared reward.

    Args:
        spec: the signals and their weights.
    """

    def __init__(self, spec: RewardSpec) -> None:
        self.spec = spec
        self._parts = _parts(spec)
        self._weight = math.fsum(part.config.weight for part in self._parts)

    @cached_property
    def hash(self) -> str:
        """Hash of the signals, their settings and the versions of their metrics."""
        # Defaults are left out: a setting that a later version adds does not change old rewards.
        signals = self.spec.model_dump(mode="json", exclude_defaults=True)["signals"]
        versions = sorted({part.metric.id for part in self._parts})
        return sha256_of({"signals": signals, "metrics": versions})

    @cached_property
    def signal_ids(self) -> tuple[str, ...]:
        """The id of each signal, in order: its metric, and its field if it has one."""
        return tuple(part.id for part in self._parts)

    @cached_property
    def loose_fields(self) -> frozenset[str]:
        """Fields whose *expected* value may be a list where the output has a single value."""
        return frozenset(
            field
            for part in self._parts
            if part.name in _LOOSE and (field := _field_of(part)) is not None
        )

    def score(self, output: Any, decode_error: CellError | None, row: Row) -> ScoredOutput:
        """Score one output.

        Args:
            output: the decoded output; ``None`` is the output ``null`` unless there is an error.
            decode_error: why there is no output. Then every signal is 0, with the error as
                feedback: that the output did not decode is the policy's fault.
            row: the example.
        """
        if decode_error is not None:
            feedback = _decode_feedback(decode_error)
            zeros = tuple(SignalScore(part.id, 0.0, feedback) for part in self._parts)
            return ScoredOutput(0.0, zeros, decode_error)
        signals: list[SignalScore] = []
        for part in self._parts:
            try:
                signals.append(_signal(part, output, row))
            except Exception as error:  # noqa: BLE001 - a metric may be the user's own code
                return ScoredOutput(None, (), _metric_error(part, error, row))
        return ScoredOutput(self._mean(signals), tuple(signals), None)

    def check(self, signature: Signature) -> list[RewardProblem]:
        """Return every reason why the signals do not fit the signature's output."""
        found: list[RewardProblem] = []
        for index, part in enumerate(self._parts):
            problem = _field_problem(part, index, signature)
            if problem is not None:
                found.append(problem)
        return found

    def row_problem(self, row: Row) -> str | None:
        """Return why a row's ``expected`` cannot be judged, before anything is spent on it."""
        for part in self._parts:
            try:
                _signal(part, row.expected, row)
            except MetricError as error:
                return f"{part.id}: {error}"
        return None

    def _mean(self, signals: list[SignalScore]) -> float:
        weighted = zip(self._parts, signals, strict=True)
        total = math.fsum(part.config.weight * signal.score for part, signal in weighted)
        return min(1.0, max(0.0, total / self._weight))


class MetricScoreError(DseError):
    """A metric returned something that is not a score."""


def _parts(spec: RewardSpec) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    counts: dict[str, int] = {}
    for signal in spec.signals:
        name = next(iter(type(signal).model_fields))
        config: MetricConfig = getattr(signal, name)
        field = getattr(config, "field", None)
        label = name if field is None else f"{name}:{field}"
        counts[label] = counts.get(label, 0) + 1
        # Two signals of one metric on one field (two patterns, say) still need two names.
        number = f"#{counts[label]}" if counts[label] > 1 else ""
        parts.append(_Part(label + number, name, METRICS[name], config))
    return tuple(parts)


def _field_of(part: _Part) -> str | None:
    field: str | None = getattr(part.config, "field", None)
    return field


def _signal(part: _Part, output: Any, row: Row) -> SignalScore:
    result = part.metric.score(part.config, output, row.expected, row.input)
    score: Any = result.score  # of the user's own code, perhaps
    if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
        raise MetricScoreError(f"the score is {score!r}, not a number in [0, 1]")
    return SignalScore(part.id, min(1.0, max(0.0, float(score))), result.feedback)


def _decode_feedback(error: CellError) -> str:
    where = f"{error.field}: " if error.field else ""
    return f"the answer could not be read: {where}{error.message}"


def _metric_error(part: _Part, error: Exception, row: Row) -> CellError:
    what = str(error) if isinstance(error, MetricError | DseError) else repr(error)
    return CellError("metric", f"{part.id} failed on row {row.id!r}: {what}")


def _field_problem(part: _Part, index: int, signature: Signature) -> RewardProblem | None:
    field = _field_of(part)
    if field is None:
        return None
    location = ("signals", index, part.name, "field")
    path, schema = parts_of(field), signature.output_schema
    if not schemas_at(schema, path):
        reached = _reached(schema, path)
        message = f"the output has no field {field!r}"
        known = names_at(schema, path[:reached])
        hint = did_you_mean(str(path[reached]), known, otherwise="fields")
        return RewardProblem(location, message, hint)
    allowed, words = _NEEDS.get(part.name, (None, ""))
    types = types_at(schema, path)
    if allowed is None or types is None or types & allowed:
        return None
    message = f"{part.name} needs {words}, but {field!r} is of type {' or '.join(sorted(types))}"
    return RewardProblem(location, message, "use exact_match for this field")


def _reached(schema: Mapping[str, Any], path: tuple[str | int, ...]) -> int:
    """Return how many leading parts of a path exist."""
    return max(n for n in range(len(path)) if n == 0 or schemas_at(dict(schema), path[:n]))
