"""Penalties of a reward: what a right answer may lose for being long or dear.

A penalty is 0 up to ``target``, 1 from ``limit`` on, linear between. The greatest one counts, and
the reward is quality x (1 - 0.5 x penalty): it can only discount, so that a failure earns nothing
from being cheap.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Field, Tag, model_validator

from dse_cli.contracts.base import Contract, only_key
from dse_cli.contracts.metrics.base import FieldPath

Count = Annotated[int, Field(ge=0)]


class CountPenalty(Contract):
    """A penalty over a count."""

    target: Count
    limit: Count

    @model_validator(mode="after")
    def _rises(self) -> CountPenalty:
        if self.limit <= self.target:
            raise ValueError("limit must be greater than target")
        return self


class Length(CountPenalty):
    """Characters of an output field, or of the whole output as canonical JSON."""

    field: FieldPath | None = None


class Tokens(CountPenalty):
    """Tokens of the prediction, prompt and answers, repairs included."""


class Calls(CountPenalty):
    """Model calls of the prediction, repairs included."""


class Cost(Contract):
    """Money that the prediction was charged, in US dollars."""

    target_usd: Annotated[float, Field(ge=0)]
    limit_usd: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _rises(self) -> Cost:
        if self.limit_usd <= self.target_usd:
            raise ValueError("limit_usd must be greater than target_usd")
        return self


class Latency(Contract):
    """Milliseconds of the model calls of the prediction, as recorded when they were answered."""

    target_ms: Count
    limit_ms: Count

    @model_validator(mode="after")
    def _rises(self) -> Latency:
        if self.limit_ms <= self.target_ms:
            raise ValueError("limit_ms must be greater than target_ms")
        return self


class LengthPenalty(Contract):
    length: Length


class TokensPenalty(Contract):
    tokens: Tokens


class CallsPenalty(Contract):
    calls: Calls


class CostPenalty(Contract):
    cost: Cost


class LatencyPenalty(Contract):
    latency: Latency


Penalty = Annotated[
    Annotated[LengthPenalty, Tag("length")]
    | Annotated[TokensPenalty, Tag("tokens")]
    | Annotated[CallsPenalty, Tag("calls")]
    | Annotated[CostPenalty, Tag("cost")]
    | Annotated[LatencyPenalty, Tag("latency")],
    Discriminator(only_key),
]
