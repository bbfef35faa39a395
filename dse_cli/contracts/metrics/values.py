"""Settings of the metrics that compare numbers and dates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from dse_cli.contracts.base import Items
from dse_cli.contracts.metrics.base import FieldPath, MetricConfig, Tolerance
from dse_cli.contracts.metrics.date_format import format_problem


class Numeric(MetricConfig):
    """1 when a number is within max(abs_tolerance, rel_tolerance x |expected|)."""

    field: FieldPath
    abs_tolerance: Tolerance = 0.0
    rel_tolerance: Tolerance = 0.0


class Number(MetricConfig):
    """1 when the one number that a text holds is within the tolerance, as in ``numeric``.

    Attributes:
        decimal: the mark before the fraction.
        thousands: the mark between groups of three digits; empty for none.
    """

    field: FieldPath
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ","
    abs_tolerance: Tolerance = 0.0
    rel_tolerance: Tolerance = 0.0

    @model_validator(mode="after")
    def _marks_differ(self) -> Number:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same mark")
        return self

    @property
    def loose_paths(self) -> tuple[str, ...]:
        return (self.field,)


class Date(MetricConfig):
    """1 when a text means the expected date, in whichever of the listed forms both are written.

    Attributes:
        formats: strptime forms, tried in order. Names of months and days are English, whatever the
            machine's locale.
    """

    field: FieldPath
    formats: Annotated[
        Items[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1)
    ] = ("%Y-%m-%d",)

    @field_validator("formats")
    @classmethod
    def _are_dates(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for form in value:
            problem = format_problem(form)
            if problem is not None:
                raise ValueError(f"{form!r} {problem}")
        return value
