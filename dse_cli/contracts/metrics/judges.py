"""Judges in a reward: a signature of kind ``judge``, pinned to a compiled artifact, as a signal.

A judge is asked like any policy, through the same gateway, budget, cache and transcript. What it is
shown comes from the example and the output as typed fields, never as text in its instruction.
"""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, Strict, field_validator, model_validator

from dse_cli.contracts.base import Contract
from dse_cli.contracts.metrics.base import FieldPath, MetricConfig

#: Where a judge's field may come from: the whole input, output or expected output, or a part of it.
ValuePath = Annotated[str, Field(pattern=r"^(input|output|expected)(\.[^.\s]+)*$", max_length=500)]
FieldName = Annotated[str, Field(min_length=1, max_length=200)]

#: What a pairwise judge answers.
WINNERS: Final = ("a", "b", "tie")


class PinnedJudgeConfig(MetricConfig):
    """What both kinds of judges have.

    Attributes:
        signature: folder under ``signatures/``, or id, of a signature of kind ``judge``.
        artifact: its compiled artifact by file name, id prefix or run prefix. There is no judge
            without one; absent is refused in words that say how to get one.
        inputs: input field of the judge to the path of what it is shown.
        feedback: output field of the judge that says why, a text.
    """

    signature: Annotated[str, Field(min_length=1)]
    artifact: Annotated[str, Field(min_length=1)] | None = None
    inputs: dict[FieldName, ValuePath] = Field(default_factory=dict)
    feedback: FieldPath | None = None

    @property
    def about(self) -> str | None:
        """The judge, so that the ids of two judges differ."""
        return self.signature


class Judge(PinnedJudgeConfig):
    """The score that a judge gives to one output.

    Attributes:
        score: output field of the judge, a number.
        scale: lowest and highest score, mapped linearly to 0 and 1.
    """

    score: FieldPath
    scale: Annotated[tuple[float, float], Strict(False)] = (0.0, 1.0)

    @field_validator("scale")
    @classmethod
    def _rises(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError("the scale goes from the lowest score to a higher one")
        return value

    @model_validator(mode="after")
    def _is_shown_something(self) -> Judge:
        if not self.inputs:
            raise ValueError("inputs is empty: a judge must be shown what it judges")
        if not any(path.split(".")[0] == "output" for path in self.inputs.values()):
            raise ValueError("inputs shows nothing of the output, so nothing would be judged")
        return self


class PairwiseJudge(PinnedJudgeConfig):
    """Whether a judge prefers the output to a reference answer, asked in both orders.

    1 when the output wins twice, 0 when it loses twice; a tie counts a half; two answers that
    contradict each other are position bias, and a half.

    Attributes:
        ours: path of the answer under test.
        theirs: path of the answer to beat.
        first, second: input fields of the judge for the two answers.
        winner: output field of the judge, one of ``a`` (the first), ``b`` (the second), ``tie``.
    """

    ours: ValuePath
    theirs: ValuePath
    first: FieldName
    second: FieldName
    winner: FieldPath

    @model_validator(mode="after")
    def _shows_two_answers(self) -> PairwiseJudge:
        if self.first == self.second:
            raise ValueError("first and second are the same field of the judge")
        if self.ours == self.theirs:
            raise ValueError("ours and theirs are the same path: there is nothing to compare")
        if not self.ours.startswith("output"):
            raise ValueError("ours is not of the output, so the judge would not see the answer")
        for field in (self.first, self.second):
            if field in self.inputs:
                raise ValueError(f"inputs holds {field!r}, which shows one of the two answers")
        return self


class JudgeSignal(Contract):
    """A judge among the signals of a reward."""

    judge: Judge


class PairwiseJudgeSignal(Contract):
    """A pairwise judge among the signals of a reward."""

    pairwise_judge: PairwiseJudge
