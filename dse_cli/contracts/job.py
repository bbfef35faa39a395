"""``compile.yaml``: what to search, how to score, what it may cost (DESIGN section 3.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dse_cli.contracts.base import Contract, Items
from dse_cli.contracts.meta import MetaName, MetaOverride
from dse_cli.contracts.prompt_ir import Text
from dse_cli.contracts.reward import RewardSpec

VariantId = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class JobModels(Contract):
    """Aliases from ``dse.yaml`` by role.

    Attributes:
        main: answers the signature.
        repair: mends answers that do not decode; the main model when absent.
        proposer: answers the meta-signatures of the optimizer; the main model when absent.
        teacher: makes bootstrapped demos; the main model when absent.
        embedder: embeds inputs, for optimizers that select demos by likeness.
    """

    main: str
    repair: str | None = None
    proposer: str | None = None
    teacher: str | None = None
    embedder: str | None = None


class InstructionVariant(Contract):
    """A candidate text for the instruction block."""

    id: VariantId
    text: Text


class FewShotSpace(Contract):
    """Demos drawn from rows of the train split.

    Attributes:
        k_max: most demos shown.
        pool_size: train rows considered, drawn with the seed; all when absent.
        tags: only rows with all of these tags.
    """

    k_max: Annotated[int, Field(ge=1, le=64)]
    pool_size: Annotated[int, Field(ge=1)] | None = None
    tags: Items[str] = ()


KnobPath = Literal[
    "model.model",
    "model.temperature",
    "model.top_p",
    "model.max_tokens",
    "decode.mode",
    "decode.max_repairs",
    "render.demos",
]


class SearchSpace(Contract):
    """What an optimizer may vary. A part that the optimizer does not search is refused."""

    instructions: Items[InstructionVariant] = ()
    few_shot: FewShotSpace | None = None
    knobs: dict[KnobPath, Annotated[Items[Any], Field(min_length=1)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _ids_are_distinct(self) -> SearchSpace:
        ids = [variant.id for variant in self.instructions]
        if len(set(ids)) != len(ids):
            raise ValueError("two instruction variants have the same id")
        if "base" in ids:
            raise ValueError("'base' is the authored instruction and always a candidate")
        return self


class OptimizerSpec(Contract):
    """An optimizer by id, with its own settings (checked by the optimizer)."""

    id: str
    config: dict[str, Any] = Field(default_factory=dict)


class CompileBudget(Contract):
    """Limits of one run. A batch that does not fit does not start.

    Attributes:
        proposer_share: most of each limit on calls, tokens and money that the proposer may use, 0
            to 1; what it does not use is left to the rest of the run. No share of its own when
            absent.
    """

    max_metric_calls: Annotated[int, Field(ge=1)] | None = None
    max_lm_calls: Annotated[int, Field(ge=1)] | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_cost_usd: Annotated[float, Field(ge=0)] | None = None
    max_time_s: Annotated[float, Field(gt=0)] | None = None
    proposer_share: Annotated[float, Field(ge=0, le=1)] | None = None


class CompileJob(Contract):
    """The whole of ``compile.yaml``."""

    dse: Literal["compile_job/v1"]
    dataset: str
    reward: RewardSpec
    models: JobModels
    optimizer: OptimizerSpec
    search_space: SearchSpace = SearchSpace()
    budget: CompileBudget
    meta: dict[MetaName, MetaOverride] = Field(default_factory=dict)
    seed: Annotated[int, Field(ge=-(2**53) + 1, le=2**53 - 1)] = 0

    @model_validator(mode="after")
    def _is_bounded(self) -> CompileJob:
        if not self.budget.model_fields_set - {"proposer_share"}:
            raise ValueError("the budget names no limit; set at least max_metric_calls")
        return self
