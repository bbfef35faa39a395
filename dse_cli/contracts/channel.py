"""Channels: ``active`` serves, and ``canary`` serves a share of the requests for a trial.

A canary is a pointer plus a percentage and a salt. Which requests are its own follows from the salt
and the request's key alone (:mod:`dse_cli.registry.routing`), and how it does is counted from the
receipts of predictions (:mod:`dse_cli.registry.served`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, field_validator

from dse_cli.contracts.base import Contract, Sha256
from dse_cli.contracts.signature import SignatureId

Channel = Literal["active", "canary"]
#: Of a prediction: a channel, or the policy that the caller named.
ServedChannel = Literal["active", "canary", "default", "explicit"]

Salt = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
#: Above 0, at most 100, two decimals: routing knows 10,000 buckets.
Percent = Annotated[float, Field(gt=0, le=100)]

_DECIMALS: Final = 2


class CanaryStop(Contract):
    """When a canary is stopped, and when it may be promoted.

    Attributes:
        min_samples: finished predictions of the canary before anything is decided.
        max_error_rate: share of them without an answer, 0 to 1. Above it no further request is
            routed to the canary; at most this much may be promoted.
    """

    min_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 20
    max_error_rate: Annotated[float, Field(ge=0, le=1)] = 0.2


class ChannelCounts(Contract):
    """Predictions of one channel, by how they ended.

    Attributes:
        ok: with an output.
        decode, timeout, provider, budget, tool: without one, by the kind of the error.
        other: without one, for any other reason.
        cancelled: given up by the caller; neither a sample nor an error.
    """

    ok: Annotated[int, Field(ge=0)] = 0
    decode: Annotated[int, Field(ge=0)] = 0
    timeout: Annotated[int, Field(ge=0)] = 0
    provider: Annotated[int, Field(ge=0)] = 0
    budget: Annotated[int, Field(ge=0)] = 0
    tool: Annotated[int, Field(ge=0)] = 0
    other: Annotated[int, Field(ge=0)] = 0
    cancelled: Annotated[int, Field(ge=0)] = 0

    @property
    def errors(self) -> int:
        """Predictions without an output, those that were cancelled apart."""
        return self.decode + self.timeout + self.provider + self.budget + self.tool + self.other

    @property
    def samples(self) -> int:
        """Predictions that ended by themselves."""
        return self.ok + self.errors

    @property
    def error_rate(self) -> float | None:
        """Errors per sample, 0 to 1; None without a sample."""
        return self.errors / self.samples if self.samples else None


class CanaryNote(Contract):
    """What a history record says of a canary.

    Attributes:
        percent, salt, stop: of the canary.
        started: digest of the record that started it, in the record that ends it.
        counts, active_counts: predictions of the canary and of the active channel since it began,
            in the record that ends it.
    """

    percent: Percent
    salt: Salt
    stop: CanaryStop
    started: Sha256 | None = None
    counts: ChannelCounts | None = None
    active_counts: ChannelCounts | None = None


class CanaryPointer(Contract):
    """``artifacts/<name>/canary.yaml``: the pointer, its share, and the policy in readable form.

    Attributes:
        baseline: compiled id of the active policy that the gate measured it against.
    """

    dse: Literal["canary/v1"]
    signature_id: SignatureId
    compiled_id: Sha256
    artifact: Annotated[str, Field(pattern=r"^compiled/[0-9a-f]{12}-[0-9a-f]{12}\.json$")]
    artifact_digest: Sha256
    percent: Percent
    salt: Salt
    stop: CanaryStop
    baseline: Sha256
    policy: dict[str, Any]

    @field_validator("percent")
    @classmethod
    def _two_decimals(cls, value: float) -> float:
        if round(value, _DECIMALS) != value:
            raise ValueError("expected at most two decimals")
        return value
