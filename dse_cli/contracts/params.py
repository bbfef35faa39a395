"""Params v1: everything an optimizer may set, in full and resolved (DESIGN section 3.2).

Absent means "as authored"; an empty demo list means none. Model names are resolved LiteLLM names,
never an alias, an endpoint, a header or a key.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from dse_cli.contracts.base import Contract, Items, Sha256
from dse_cli.contracts.prompt_ir import Demo, Text

DecodeMode = Literal["strict_json", "jsonish", "native_schema"]
DemoLayout = Literal["turns", "section"]


class InstructionParams(Contract):
    """The text that replaces the authored instruction."""

    text: Text


class DemoSelector(Contract):
    """Shows the demos of a pool that are most like the input, the most alike last.

    Attributes:
        k: demos shown.
        embedder: resolved LiteLLM name of the model that embeds the input.
        index: hash of the vectors of the pool; names the file under ``indexes/``.
    """

    id: Literal["knn.v1"]
    k: Annotated[int, Field(ge=1, le=64)]
    embedder: str
    index: Sha256


class FewShotParams(Contract):
    """The demos that replace the authored ones, in the order in which they are shown.

    Attributes:
        selector: chooses among them for each input; all are shown when absent.
        examples: the demos, or the pool that the selector chooses from, in full.
    """

    selector: DemoSelector | None = None
    examples: Items[Demo]


class ModelParams(Contract):
    """A model and how it samples.

    Attributes:
        model: resolved LiteLLM name.
        temperature: 0 to 2.
        top_p: 0 exclusive to 1.
        max_tokens: cap on the tokens of one answer.
    """

    model: str | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


class ModelRoles(Contract):
    """Overrides of ``model`` for one role, field by field."""

    main: ModelParams | None = None
    repair: ModelParams | None = None


class DecodeParams(Contract):
    """How text becomes a value.

    Attributes:
        mode: ``strict_json`` parses as is; ``jsonish`` also takes JSON out of prose and mends it;
            ``native_schema`` has the provider enforce the schema, then parses strictly.
        max_repairs: how often the model is told what was wrong and asked again.
    """

    mode: DecodeMode = "jsonish"
    max_repairs: Annotated[int, Field(ge=0, le=5)] = 1
    repair_strategy: Literal["reask"] = "reask"


class RenderParams(Contract):
    """Where demos stand: as user and assistant turns, or as a section of the system message."""

    demos: DemoLayout = "turns"


class PolicyBudgets(Contract):
    """Limits of one prediction; each is enforced while it runs."""

    max_time_ms: Annotated[int, Field(ge=1)] | None = None
    max_lm_calls: Annotated[int, Field(ge=0)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    max_output_chars: Annotated[int, Field(ge=1)] | None = None


class StrategyParams(Contract):
    """The inference strategy."""

    id: Literal["direct.v1"] = "direct.v1"


class Params(Contract):
    """The behaviour-deciding settings of one signature."""

    instruction: InstructionParams | None = None
    few_shot: FewShotParams | None = None
    model: ModelParams | None = None
    model_roles: ModelRoles | None = None
    decode: DecodeParams | None = None
    render: RenderParams | None = None
    strategy: StrategyParams | None = None
    budgets: PolicyBudgets | None = None


def merge(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``patch`` laid over it, mapping by mapping; lists are replaced whole."""
    merged = dict(base)
    for key, value in patch.items():
        under = merged.get(key)
        merged[key] = (
            merge(under, value) if isinstance(under, dict) and isinstance(value, dict) else value
        )
    return merged
