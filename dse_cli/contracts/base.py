"""The base of every contract that is read from a file: frozen, and unknown keys are refused."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, Strict

T = TypeVar("T")

#: A sequence as YAML and JSON write it (a list), held as a tuple so that a contract stays frozen.
Items = Annotated[tuple[T, ...], Strict(False)]

Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
RowId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$")]


class Contract(BaseModel):
    """A frozen record that refuses keys it does not know (law 6: what is accepted is enforced)."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form with absent fields left out and nulls that were written kept."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def only_key(value: Any) -> str | None:
    """Discriminate a union of one-key mappings (``{system: ...}``) by that key."""
    if isinstance(value, dict):
        return next((key for key in value if isinstance(key, str)), None)
    fields = getattr(type(value), "model_fields", {})
    return next(iter(fields), None)
