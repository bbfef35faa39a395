"""``dse.yaml``: model aliases, limits, budget defaults and the gate policy of a project."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from dse_cli.contracts.base import Contract

AliasName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,40}$")]

#: Aliases that need no entry in ``dse.yaml``; see ``dse_cli.lm.embedded``.
EMBEDDED_ALIASES: tuple[str, ...] = ("lexical-embed", "local", "local-plus")

#: Those of them that embed texts and answer nothing.
EMBEDDER_ALIASES: tuple[str, ...] = ("lexical-embed",)


class ModelAlias(Contract):
    """A name for one LiteLLM model at one endpoint, with its limits.

    Attributes:
        model: LiteLLM model name with its provider prefix (``openai/gpt-4o-mini``).
        api_base: base URL of a self-hosted or proxy endpoint; credentials in it are refused.
        api_key_env: environment variable that holds the key; keys themselves never stand in files.
        concurrency: calls in flight at once.
        requests_per_minute, tokens_per_minute: client-side rate limits; None is no limit.
        timeout_s: hard limit of one attempt, in seconds.
        max_retries: further attempts after a retryable failure.
    """

    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+/[^\s]+$")]
    api_base: str | None = None
    api_key_env: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 16
    requests_per_minute: Annotated[int, Field(ge=1)] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1)] | None = None
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    max_retries: Annotated[int, Field(ge=0, le=20)] = 4

    @field_validator("api_base")
    @classmethod
    def _plain_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("expected an http(s) URL")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("credentials, query and fragment do not belong into a base URL")
        return value.rstrip("/")


class Limits(Contract):
    """When a run stops because the world, not the prompt, is at fault.

    Attributes:
        max_error_rate: share of cells with provider or timeout errors above which a run ends with
            exit code 3.
        concurrency: cells in flight at once, over all models.
    """

    max_error_rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    concurrency: Annotated[int, Field(ge=1, le=1024)] = 16


class GateGuards(Contract):
    """What must not get worse while the reward gets better.

    Attributes:
        slices: every tag with at least 20 rows.
        decode_failures: the share of answers that cannot be decoded.
        tokens, cost: allowed relative increase of the mean per row (0.5 is half as much again);
            None is not guarded.
    """

    slices: bool = True
    decode_failures: bool = True
    tokens: Annotated[float, Field(ge=0, le=100)] | None = None
    cost: Annotated[float, Field(ge=0, le=100)] | None = None


class PromisedSaving(Contract):
    """What a non-inferior policy must save, as a share of the baseline's mean per row."""

    tokens: Annotated[float, Field(gt=0, lt=1)] | None = None
    cost: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _promises_something(self) -> PromisedSaving:
        if self.tokens is None and self.cost is None:
            raise ValueError("promise a saving of tokens or of cost, for example {tokens: 0.2}")
        return self


class NonInferiority(Contract):
    """When a policy may be promoted for being cheaper (``dse promote --non-inferiority``)."""

    saving: PromisedSaving


class GatePolicy(Contract):
    """How ``dse promote`` decides (DESIGN section 4.1).

    Attributes:
        alpha: one-sided level over all looks at a holdout.
        min_effect: smallest gain that may promote, in reward units (0.02 is two points).
        margin: half-width of the band that counts as no change, in reward units.
        rollouts: samples per holdout row, the same for candidate and baseline.
        guards: what must not get worse.
        non_inferiority: None means that only a gain promotes.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    min_effect: Annotated[float, Field(ge=0, le=1)] = 0.0
    margin: Annotated[float, Field(ge=0, le=1)] = 0.02
    rollouts: Annotated[int, Field(ge=1, le=64)] = 1
    guards: GateGuards = GateGuards()
    non_inferiority: NonInferiority | None = None

    @model_validator(mode="after")
    def _a_loss_must_be_allowed(self) -> GatePolicy:
        if self.non_inferiority is not None and self.margin in (0.0, 1.0):
            raise ValueError("non_inferiority needs a margin between 0 and 1: the loss it allows")
        return self


class ProjectSpec(Contract):
    """The whole of ``dse.yaml``."""

    dse: Literal["project/v1"]
    models: dict[AliasName, ModelAlias] = Field(default_factory=dict)
    default_model: str = "local"
    limits: Limits = Limits()
    gate: GatePolicy = GatePolicy()

    @model_validator(mode="after")
    def _aliases_are_known(self) -> ProjectSpec:
        for name in EMBEDDED_ALIASES:
            if name in self.models:
                raise ValueError(f"the alias {name!r} is built in and cannot be redefined")
        known = sorted([*self.models, *EMBEDDED_ALIASES])
        if self.default_model not in known:
            raise ValueError(
                f"default_model {self.default_model!r} is not one of {', '.join(known)}"
            )
        if self.default_model in EMBEDDER_ALIASES:
            raise ValueError(f"default_model {self.default_model!r} embeds and answers nothing")
        return self


#: Values that look like a key are refused wherever they stand in a spec.
SECRET_SHAPE = re.compile(
    r"\b(sk-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|xox[abp]-[A-Za-z0-9-]{10,}"
    r"|AIza[0-9A-Za-z_-]{30,}|hf_[A-Za-z0-9]{20,})\b"
)
