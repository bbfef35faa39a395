"""The reward: weighted signals that add up to a scalar in [0, 1].

In YAML each signal is a mapping with one key, the metric; its value is a weight, or the metric's
settings with the weight among them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from dse_cli.contracts.base import Contract, Items, only_key

Weight = Annotated[float, Field(gt=0, le=1000)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
Normalization = Literal["strip", "casefold", "collapse_whitespace"]


class MetricConfig(Contract):
    """Settings that every metric has; a bare number stands for ``{weight: number}``."""

    weight: Weight

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"weight": value}
        return value


class FormatValidity(MetricConfig):
    """1 when the output decoded and fits its schema."""


class ExactMatch(MetricConfig):
    """1 when the output, or one field of it, equals what was expected."""

    field: FieldPath | None = None
    normalize: Items[Normalization] = ()


class OneOf(MetricConfig):
    """1 when a field is among the values listed in the same field of ``expected``."""

    field: FieldPath
    normalize: Items[Normalization] = ()


class Contains(MetricConfig):
    """Share of the expected texts (a text or a list) that stand in an output field."""

    field: FieldPath
    normalize: Items[Normalization] = ()


class Regex(MetricConfig):
    """1 when the whole of an output field matches a regular expression."""

    field: FieldPath
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return value


class Numeric(MetricConfig):
    """1 when a number is within max(abs_tolerance, rel_tolerance x |expected|)."""

    field: FieldPath
    abs_tolerance: Annotated[float, Field(ge=0)] = 0.0
    rel_tolerance: Annotated[float, Field(ge=0)] = 0.0


class FormatValiditySignal(Contract):
    format_validity: FormatValidity


class ExactMatchSignal(Contract):
    exact_match: ExactMatch


class OneOfSignal(Contract):
    one_of: OneOf


class ContainsSignal(Contract):
    contains: Contains


class RegexSignal(Contract):
    regex: Regex


class NumericSignal(Contract):
    numeric: Numeric


Signal = Annotated[
    Annotated[FormatValiditySignal, Tag("format_validity")]
    | Annotated[ExactMatchSignal, Tag("exact_match")]
    | Annotated[OneOfSignal, Tag("one_of")]
    | Annotated[ContainsSignal, Tag("contains")]
    | Annotated[RegexSignal, Tag("regex")]
    | Annotated[NumericSignal, Tag("numeric")],
    Discriminator(only_key),
]


class RewardSpec(Contract):
    """The signals of a reward; the scalar is their weighted mean."""

    signals: Annotated[Items[Signal], Field(min_length=1)]
