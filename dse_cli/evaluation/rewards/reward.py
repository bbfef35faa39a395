"""The reward of one output: weighted signals, added up to a scalar in [0, 1] and discounted."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.canonical import sha256_of
from dse_cli.contracts.errors import DseError
from dse_cli.contracts.evaluation import CellError, SignalScore
from dse_cli.contracts.metrics.judges import Judge, PairwiseJudge
from dse_cli.contracts.metrics.python import PythonMetric
from dse_cli.contracts.penalties import LatencyPenalty
from dse_cli.evaluation.json_values import shortened
from dse_cli.evaluation.metric_result import (
    MetricError,
    MetricResult,
    MetricScoreError,
    Sample,
    checked_score,
)
from dse_cli.evaluation.metrics import EXTERNAL, METRICS
from dse_cli.evaluation.metrics.code import CodeMetric, CodeMetricError
from dse_cli.evaluation.rewards.penalties import discount
from dse_cli.evaluation.rewards.reward_checks import RewardProblem, reward_problems, signal_config

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import CellUsage
    from dse_cli.contracts.metrics.base import MetricConfig
    from dse_cli.contracts.reward import RewardSpec
    from dse_cli.contracts.signature import Signature

#: Characters of what a signal says of one output.
MAX_FEEDBACK: Final = 4_000
#: What a metric of this package says in words of its own; anything else is shown as an exception.
_SAID: Final = (MetricError, MetricScoreError, CodeMetricError, DseError)
_NO_CODE: Final[Mapping[str, CodeMetric]] = MappingProxyType({})
_NO_IDS: Final[Mapping[int, str]] = MappingProxyType({})
_NO_VERDICTS: Final[Mapping[int, MetricResult]] = MappingProxyType({})


class ScoredOutput(NamedTuple):
    """What the reward says of one cell.

    Attributes:
        reward: quality x (1 - 0.5 x penalty), in [0, 1]; None when a metric failed, which is not a
            wrong answer.
        signals: one per signal, in the order of the reward; empty when a metric failed.
        error: the decode error passed in, or the metric's.
        quality: weighted mean of the signals, in [0, 1]; None when a metric failed.
        penalty: in [0, 1]; 0 for an answer that did not decode.
        penalty_feedback: what was over its target, in words.
    """

    reward: float | None
    signals: tuple[SignalScore, ...]
    error: CellError | None
    quality: float | None = None
    penalty: float = 0.0
    penalty_feedback: str = ""


class _Part(NamedTuple):
    """One signal, ready to score; ``score`` is None for a judge, who is asked elsewhere."""

    id: str
    name: str
    metric_id: str
    config: MetricConfig
    score: Callable[[Any, Sample], MetricResult] | None


class Reward:
    """Scores outputs by a declared reward.

    Args:
        spec: the signals and their weights, and the penalties.
        code: the Python metrics of the spec by ``call``; whoever passes them may run them.
        judges: compiled id of each judge by the place of its signal; needed for the hash only.
    """

    def __init__(
        self,
        spec: RewardSpec,
        code: Mapping[str, CodeMetric] = _NO_CODE,
        *,
        judges: Mapping[int, str] = _NO_IDS,
    ) -> None:
        self.spec = spec
        self._parts = _parts(spec, code)
        self._weight = math.fsum(part.config.weight for part in self._parts)
        self._code = code
        self._judge_ids = judges

    @cached_property
    def hash(self) -> str:
        """Hash of signals and penalties with settings, versions of metrics, code, and judges.

        Raises:
            ValueError: a judge has no compiled id: what it would say is not decided.
        """
        # Defaults are left out: a setting that a later version adds does not change old rewards.
        spec = self.spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        versions = sorted({part.metric_id for part in self._parts})
        hashed = {"signals": spec["signals"], "metrics": versions}
        if "penalties" in spec:
            hashed["penalties"] = spec["penalties"]
        if self.code_digests:
            hashed["code"] = self.code_digests
        if self.judges:
            if {index for index, _ in self.judges} != set(self._judge_ids):
                raise ValueError("a judge of the reward is not pinned")
            hashed["judges"] = {str(index): self._judge_ids[index] for index, _ in self.judges}
            # The id says which policy judges; a longer prefix of it is the same judge.
            for index, _ in self.judges:
                for config in spec["signals"][index].values():
                    config.pop("signature", None)
                    config.pop("artifact", None)
        return sha256_of(hashed)

    @cached_property
    def code_digests(self) -> dict[str, str]:
        """``sha256:...`` of each file of Python metrics, by name; empty when there are none."""
        return {metric.file: metric.sha256 for _, metric in sorted(self._code.items())}

    @cached_property
    def signal_ids(self) -> tuple[str, ...]:
        """The id of each signal, in order: its metric, and its field if it has one."""
        return tuple(part.id for part in self._parts)

    @property
    def needs_latency(self) -> bool:
        """Whether how long a prediction took is part of the reward."""
        return any(isinstance(penalty, LatencyPenalty) for penalty in self.spec.penalties)

    @cached_property
    def judges(self) -> tuple[tuple[int, Judge | PairwiseJudge], ...]:
        """The judge signals: place in the reward, and settings."""
        return tuple(
            (index, part.config)
            for index, part in enumerate(self._parts)
            if isinstance(part.config, Judge | PairwiseJudge)
        )

    def pinned(self, judges: Mapping[int, str]) -> Reward:
        """Return this reward with the compiled ids of its judges."""
        return Reward(self.spec, self._code, judges=judges)

    @cached_property
    def loose_fields(self) -> frozenset[str]:
        """Fields whose *expected* value need not be what the output has there."""
        return frozenset(path for part in self._parts for path in part.config.loose_paths)

    def score(
        self,
        output: Any,
        decode_error: CellError | None,
        row: Row,
        *,
        verdicts: Mapping[int, MetricResult] | None = None,
        usage: CellUsage | None = None,
    ) -> ScoredOutput:
        """Score one output.

        Args:
            output: the decoded output; ``None`` is the output ``null`` unless there is an error.
            decode_error: why there is no output. Then every signal is 0, with the error as
                feedback: that the output did not decode is the policy's fault.
            row: the example.
            verdicts: what the judges said, by the place of the signal in the reward.
            usage: what the prediction itself used, for the penalties.
        """
        if decode_error is not None:
            feedback = _decode_feedback(decode_error)
            zeros = tuple(SignalScore(part.id, 0.0, feedback) for part in self._parts)
            return ScoredOutput(0.0, zeros, decode_error, 0.0)
        sample = Sample(output, row.expected, row.input)
        signals: list[SignalScore] = []
        for index, part in enumerate(self._parts):
            try:
                signals.append(_signal(part, index, sample, verdicts or _NO_VERDICTS))
            except Exception as error:  # noqa: BLE001 - a metric may be the user's own code
                return ScoredOutput(None, (), _metric_error(part.id, error, row))
        quality = self._mean(signals)
        try:
            less = discount(self.spec.penalties, output, usage)
        except MetricError as error:
            return ScoredOutput(None, (), _metric_error("penalties", error, row))
        return ScoredOutput(
            less.of(quality), tuple(signals), None, quality, less.penalty, less.feedback
        )

    def check(self, signature: Signature) -> list[RewardProblem]:
        """Return every reason why signals and penalties do not fit the signature."""
        return reward_problems(self.spec, signature)

    def row_problem(self, row: Row) -> str | None:
        """Return why a row's ``expected`` cannot be judged, before anything is spent on it.

        The metrics of this package only: see :meth:`try_code` for the project's own.
        """
        sample = Sample(row.expected, row.expected, row.input)
        for part in self._parts:
            if part.name in EXTERNAL or part.score is None:
                continue
            try:
                part.score(part.config, sample)
            except MetricError as error:
                return f"{part.id}: {error}"
        return None

    def try_code(self, row: Row) -> None:
        """Ask each Python metric for the score of the expected output itself.

        Raises:
            CodeMetricError: one raised, or returned something that is not a result.
        """
        sample = Sample(row.expected, row.expected, row.input)
        for part in self._parts:
            if isinstance(part.config, PythonMetric) and part.score is not None:
                part.score(part.config, sample)

    def _mean(self, signals: list[SignalScore]) -> float:
        weighted = zip(self._parts, signals, strict=True)
        total = math.fsum(part.config.weight * signal.score for part, signal in weighted)
        # Each score is in [0, 1], so this only takes rounding away.
        return min(1.0, max(0.0, total / self._weight))


def _parts(spec: RewardSpec, code: Mapping[str, CodeMetric]) -> tuple[_Part, ...]:
    parts: list[_Part] = []
    counts: dict[str, int] = {}
    for signal in spec.signals:
        name, config = signal_config(signal)
        label = name if config.about is None else f"{name}:{config.about}"
        counts[label] = counts.get(label, 0) + 1
        # Two signals of one metric on one field (two patterns, say) still need two names.
        number = f"#{counts[label]}" if counts[label] > 1 else ""
        score: Callable[[Any, Sample], MetricResult] | None = None
        if name in METRICS:
            metric_id, score = METRICS[name].id, METRICS[name].score
        else:
            metric_id = EXTERNAL[name][0]
        if isinstance(config, PythonMetric):
            if config.call not in code:
                raise ValueError(f"the code of {config.call} was not loaded")
            score = code[config.call].score
        parts.append(_Part(label + number, name, metric_id, config, score))
    return tuple(parts)


def _signal(
    part: _Part, index: int, sample: Sample, verdicts: Mapping[int, MetricResult]
) -> SignalScore:
    if part.score is not None:
        result = part.score(part.config, sample)
    elif index in verdicts:
        result = verdicts[index]
    else:
        raise MetricError("a bug in dse: the judge was not asked")
    feedback = shortened(result.feedback, MAX_FEEDBACK)
    return SignalScore(part.id, checked_score(result.score), feedback, result.metadata)


def _decode_feedback(error: CellError) -> str:
    where = f"{error.field}: " if error.field else ""
    return f"the answer could not be read: {where}{error.message}"


def _metric_error(name: str, error: Exception, row: Row) -> CellError:
    what = str(error) if isinstance(error, _SAID) else repr(error)
    message = f"{name} failed on row {row.id!r}: {what}"
    return CellError("metric", shortened(message, MAX_FEEDBACK))
