"""The ``scheduler`` setting: how the rows of val are dealt out to candidates that compete."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from dse_cli.contracts.base import Contract


class RacingSettings(Contract):
    """Settings of a race.

    Attributes:
        alpha: bound on the chance that the best candidate is dropped, over all rungs (Bonferroni)
            and the candidates of each (Holm). The bound is far from tight: see docs/racing.md.
        first: size of the first rung, as a share of val; never under 5 rows.
        growth: how much larger each rung is than the one before.
    """

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.25
    first: Annotated[float, Field(gt=0, lt=1)] = 0.1
    growth: Annotated[float, Field(gt=1, le=4)] = 1.25


class HalvingSettings(Contract):
    """Settings of successive halving.

    Attributes:
        eta: of every eta candidates, a rung keeps one.
        budget_share: the budget B, as a share of the metric calls of the full grid, n x rows of
            val. The base, and what the last candidate lacks to a full evaluation, come on top.
    """

    eta: Annotated[int, Field(ge=2, le=16)] = 2
    budget_share: Annotated[float, Field(gt=0, le=1)] = 0.4


class RacingSpec(RacingSettings):
    """``scheduler: {id: racing, alpha: 0.1}``."""

    id: Literal["racing"]


class HalvingSpec(HalvingSettings):
    """``scheduler: {id: successive_halving, eta: 3}``."""

    id: Literal["successive_halving"]


def _which(value: Any) -> str:
    """Tell a name from a mapping with settings, by its id."""
    if isinstance(value, dict):
        return str(value.get("id"))
    return str(getattr(value, "id", "name"))


#: As written in the settings of an optimizer: a name, or a mapping with the name as its id.
SchedulerSpec = Annotated[
    Annotated[Literal["full", "racing", "successive_halving"], Tag("name")]
    | Annotated[RacingSpec, Tag("racing")]
    | Annotated[HalvingSpec, Tag("successive_halving")],
    Discriminator(
        _which,
        custom_error_type="unknown_scheduler",
        custom_error_message="a scheduler is full, racing or successive_halving, "
        "or {id: racing, ...} or {id: successive_halving, ...} with settings",
    ),
]


def settings_of(spec: SchedulerSpec | None) -> RacingSettings | HalvingSettings | None:
    """Return the settings of a scheduler, None for ``full``: every candidate on all of val."""
    if isinstance(spec, RacingSettings | HalvingSettings):
        return spec
    if spec == "racing":
        return RacingSettings()
    return HalvingSettings() if spec == "successive_halving" else None
