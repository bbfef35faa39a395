"""Cells and the summary of an evaluation (DESIGN sections 2 and 3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from dse_cli.contracts.base import Contract, Items, Sha256

ErrorKind = Literal["decode", "budget", "tool", "provider", "timeout", "metric"]

#: Kinds that are the world's fault: never scored, never cached, counted apart.
OUTAGES: frozenset[str] = frozenset({"budget", "tool", "provider", "timeout", "metric"})


@dataclass(frozen=True, slots=True)
class CellError:
    """Why a cell has no output.

    Attributes:
        kind: ``decode`` is the policy's fault and scores; every other kind is an outage.
        message: one sentence.
        field: the output field that failed, for decode errors.
    """

    kind: ErrorKind
    message: str
    field: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "message": self.message, "field": self.field}


@dataclass(frozen=True, slots=True)
class SignalScore:
    """What one metric said of one output.

    Attributes:
        id: the metric, and its field if it has one.
        score: in [0, 1].
        feedback: what was wrong and what was expected, in words that a model can act on.
        metadata: JSON facts for reports (a confusion pair, a precision); never used to decide.
    """

    id: str
    score: float
    feedback: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """One bounded reason why a cell is not perfect, for a person or an optimizer to act on.

    Attributes:
        kind: an :data:`ErrorKind` for a cell without an output, ``judge`` for a judge's note,
            ``mismatch`` for what any other metric found.
        source: the signal id, or ``answer`` for an error of the prediction itself.
        message: what was wrong; shortened visibly.
        field: the output field that it is about, None for the whole output.
        got, expected: JSON texts of both, shortened visibly; None when they do not apply.
    """

    kind: str
    source: str
    message: str
    field: str | None = None
    got: str | None = None
    expected: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "source": self.source,
            "message": self.message,
            "field": self.field,
            "got": self.got,
            "expected": self.expected,
        }


@dataclass(frozen=True, slots=True)
class CellUsage:
    """What one cell used. Unknown is None, never zero.

    Attributes:
        lm_calls: model calls, repairs included.
        repairs: how many of them were repairs.
        prompt_tokens, completion_tokens: summed over the calls.
        cost_nano_usd: nano-dollars, charged.
        latency_ms: of the answered calls as recorded, one after the other; None unless the reward
            has a latency penalty.
    """

    lm_calls: int = 0
    repairs: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_nano_usd: int | None = 0
    latency_ms: int | None = None

    @property
    def total_tokens(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class JudgeCall:
    """What one judge was asked about one output.

    Attributes:
        signal: id of the signal.
        signature_id, compiled_id: which policy judged.
        usage: of all its calls on this cell; zero when there was no output to judge.
        served_models: what the providers said they were, sorted.
        scripted: True when any of its answers was scripted.
        disagreed: whether the two orders of a pairwise judge contradicted each other; None for a
            judge that is asked in one order, or that gave no verdict.
        is_pairwise: whether it is asked in both orders.
    """

    signal: str
    signature_id: str
    compiled_id: str
    usage: CellUsage = CellUsage()
    served_models: tuple[str, ...] = ()
    scripted: bool = False
    disagreed: bool | None = None
    is_pairwise: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """One candidate on one example, one rollout.

    Attributes:
        candidate: candidate id.
        example: row id.
        example_hash: the row's content hash.
        rollout: index of the sample.
        reward: in [0, 1]; None for an outage, which is not a wrong answer.
        signals: what each metric said, in the order of the reward.
        output: the decoded output, None when there is none.
        output_hash: hash of the output.
        error: why there is no output.
        failures: why it is not perfect, bounded; empty for a perfect cell.
        usage: calls, tokens, money of the policy itself.
        judging: what its judges used; charged to the run, never held against the policy.
        judges: the same by judge, in the order of the reward.
        served_model: what the provider said it was.
        scripted: True when no real model answered, or none judged.
        penalty: in [0, 1]; the reward is quality x (1 - 0.5 x penalty).
        penalty_feedback: what was over its target, in words.
    """

    candidate: str
    example: str
    example_hash: str
    rollout: int
    reward: float | None
    signals: tuple[SignalScore, ...] = ()
    output: Any = None
    output_hash: str | None = None
    error: CellError | None = None
    failures: tuple[Failure, ...] = ()
    usage: CellUsage = field(default_factory=CellUsage)
    judging: CellUsage = field(default_factory=CellUsage)
    judges: tuple[JudgeCall, ...] = ()
    served_model: str = ""
    scripted: bool = False
    penalty: float = 0.0
    penalty_feedback: str = ""

    @property
    def is_outage(self) -> bool:
        return self.error is not None and self.error.kind in OUTAGES


class Interval(Contract):
    """A two-sided 95 % interval of a mean reward."""

    low: float
    high: float


class Slice(Contract):
    """The rows with one tag."""

    n: Annotated[int, Field(ge=0)]
    mean: float


class CostTotal(Contract):
    """Money as charged; ``kind`` says how far the number can be trusted."""

    nano_usd: int
    kind: Literal["exact", "unknown"]


class RepeatScores(Contract):
    """With several rollouts an example: at least one right (pass@k), all right (pass^k)."""

    rollouts: Annotated[int, Field(ge=1)]
    pass_at_k: float
    pass_hat_k: float


class JudgeSummary(Contract):
    """What one judge signal asked, apart from what the policy used.

    Attributes:
        signature_id, compiled_id: the pinned policy that judged.
        models: as served.
        judged: cells on which it was asked.
        lm_calls, prompt_tokens, completion_tokens, cost: of its own calls, as charged.
        disagreements: cells on which the two orders of a pairwise judge contradicted each other;
            absent for a judge that is asked in one order.
    """

    signature_id: str
    compiled_id: Sha256
    models: Items[str]
    judged: Annotated[int, Field(ge=0)]
    lm_calls: Annotated[int, Field(ge=0)]
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: CostTotal
    disagreements: Annotated[int, Field(ge=0)] | None = None


class EvalSummary(Contract):
    """What an evaluation found, in numbers that can be re-derived.

    Attributes:
        n: examples with a score.
        mean: mean reward over them, in [0, 1].
        interval: 95 % interval of the mean.
        signals: mean of each signal.
        quantiles: reward at 5, 25, 50, 75 and 95 %.
        slices: mean per tag.
        failures: cells without an output, by kind; outages are not among ``n``.
        rows: reward per example id; None for an outage.
        scripted: True when any model was scripted; such a report can never promote.
        judges: by signal; absent when the reward has none. Their use is not in the policy's.
    """

    format: Literal["dse/eval_summary/v1"]
    split: str
    n: Annotated[int, Field(ge=0)]
    mean: float | None
    interval: Interval | None
    signals: dict[str, float]
    quantiles: dict[str, float]
    slices: dict[str, Slice]
    failures: dict[str, int]
    repairs: int
    lm_calls: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: CostTotal
    repeat: RepeatScores | None
    dataset_revision: Sha256
    split_hash: Sha256
    reward_hash: Sha256
    models: Items[str]
    rows: dict[str, float | None]
    scripted: bool
    judges: dict[str, JudgeSummary] | None = None
