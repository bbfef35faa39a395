"""Settings of the metrics that compare an output, or a field of it, as it stands."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field, field_validator, model_validator

from dse_cli.contracts.base import Items
from dse_cli.contracts.metrics.base import (
    FieldPath,
    FieldRules,
    MetricConfig,
    Normalization,
    OutputPath,
)
from dse_cli.contracts.pattern import pattern_problem
from dse_cli.contracts.schema import schema_problems


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

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return (self.field,)


class Contains(MetricConfig):
    """Share of the expected texts (a text or a list) that stand in an output field."""

    field: FieldPath
    normalize: Items[Normalization] = ()

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return (self.field,)


class Forbidden(MetricConfig):
    """1 minus the share of the forbidden texts that stand in an output field.

    Attributes:
        texts: forbidden in every row.
        expected: path in ``expected`` of the texts that are forbidden in that row.
    """

    field: FieldPath
    texts: Items[Annotated[str, Field(min_length=1)]] = ()
    expected: FieldPath | None = None
    normalize: Items[Normalization] = ()

    @model_validator(mode="after")
    def _has_texts(self) -> Forbidden:
        if not self.texts and self.expected is None:
            raise ValueError("nothing is forbidden: give 'texts', or 'expected' with a path")
        return self

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return () if self.expected is None else (self.expected,)


class Regex(MetricConfig):
    """1 when the whole of an output field matches a regular expression, in linear time."""

    field: FieldPath
    pattern: Annotated[str, Field(min_length=1, max_length=1000)]

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str) -> str:
        problem = pattern_problem(value)
        if problem is not None:
            raise ValueError(f"not a regular expression that can be used: {problem}")
        return value


class Classification(MetricConfig):
    """1 when a field holds the expected label; the metadata is the confusion pair.

    Attributes:
        labels: the labels there are; ``expected`` must be one of them.
    """

    field: FieldPath
    labels: Items[Annotated[str, Field(min_length=1)]] = ()
    normalize: Items[Normalization] = ()


class JsonSchemaFit(MetricConfig):
    """1 when the output, or a field of it, fits a JSON Schema (2020-12).

    Attributes:
        schema_: the JSON Schema; ``schema`` in YAML.
        parse: the field is a text that holds JSON.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    field: FieldPath | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    parse: bool = False

    @field_validator("schema_")
    @classmethod
    def _is_schema(cls, value: dict[str, Any]) -> dict[str, Any]:
        problems = schema_problems(value)
        if problems:
            where = "".join(f".{part}" for part in problems[0].location)
            raise ValueError(f"schema{where}: {problems[0].message}")
        return value

    @model_validator(mode="after")
    def _parses_a_text(self) -> JsonSchemaFit:
        if self.parse and self.field is None:
            raise ValueError("parse needs a field: the whole output is an object, not a text")
        return self


class Structured(MetricConfig):
    """Weighted share of the listed fields that are as expected."""

    fields: FieldRules

    @property
    def output_paths(self) -> tuple[OutputPath, ...]:
        return tuple((("fields", path), path) for path in self.fields)
