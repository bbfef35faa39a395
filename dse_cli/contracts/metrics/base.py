"""What every metric of a reward has: a weight, paths into a value, steps that normalise texts.

The settings of the metrics themselves are in the modules ``metric_*`` beside this one, grouped by
what they compare; :mod:`dse_cli.contracts.reward` puts them together.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema

from dse_cli.contracts.base import Contract, Items

MAX_WEIGHT: Final = 1000
_NO_NUMBERS: Final = frozenset({"nan", "inf", "infinity"})
Weight = Annotated[float, Field(gt=0, le=MAX_WEIGHT)]
FieldPath = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.\s]+)*$")]
Tolerance = Annotated[float, Field(ge=0)]
Normalization = Literal[
    "strip",
    "casefold",
    "collapse_whitespace",
    "strip_punctuation",
    "unicode_nfkc",
    "drop_articles",
]

#: Where a setting stands inside its metric, and the path of an output field that it holds.
OutputPath = tuple[tuple[str, ...], str]


def weight_alone(value: Any) -> Any:
    """Read a bare number as ``{weight: number}``.

    Raises:
        ValueError: it is no weight; said here, because the file has no key ``weight`` to point at.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 < value <= MAX_WEIGHT:
            raise ValueError(f"a weight must be a number above 0, at most 1000, but is {value}")
        return {"weight": value}
    if isinstance(value, str) and value.casefold().lstrip("+-").lstrip(".") in _NO_NUMBERS:
        raise ValueError(f"{value!r} is not a number; write a weight such as 0.5")
    if isinstance(value, str | bool):
        words = "true" if value is True else "false" if value is False else repr(value)
        raise ValueError(
            f"expected a weight above 0, at most 1000, or settings with a weight, found {words}"
        )
    return value


def or_weight_alone(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON Schema of settings that a bare number may stand for."""
    if set(schema.get("required", ())) - {"weight"}:
        return schema
    return {"anyOf": [schema, {"type": "number", "exclusiveMinimum": 0, "maximum": MAX_WEIGHT}]}


class Weighted(Contract):
    """Settings with a weight; a bare number stands for ``{weight: number}``."""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return weight_alone(value)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return or_weight_alone(handler(core_schema))


class MetricConfig(Weighted):
    """Settings that every metric has."""

    weight: Weight

    @property
    def about(self) -> str | None:
        """What the metric looks at, for the id of its signal; None for the whole output."""
        return getattr(self, "field", None)

    @property
    def output_paths(self) -> tuple[OutputPath, ...]:
        """Every output field that the settings name, with the place of the setting."""
        field = getattr(self, "field", None)
        return () if field is None else ((("field",), field),)

    @property
    def input_paths(self) -> tuple[OutputPath, ...]:
        """Every input field that the settings name, with the place of the setting."""
        return ()

    @property
    def loose_paths(self) -> tuple[str, ...]:
        """Fields of ``expected`` that need not be what the output has there: a list of choices."""
        return ()


class FieldRule(Weighted):
    """How one field of an object is compared, and how much it counts.

    Attributes:
        weight: share of the field; a bare number stands for it.
        normalize: steps on every text, on both sides.
        abs_tolerance, rel_tolerance: for numbers, as in ``numeric``.
    """

    weight: Weight = 1.0
    normalize: Items[Normalization] = ()
    abs_tolerance: Tolerance = 0.0
    rel_tolerance: Tolerance = 0.0


FieldRules = Annotated[dict[FieldPath, FieldRule], Field(min_length=1)]
