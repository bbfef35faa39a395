"""The compile receipt: an in-toto Statement v1 that is a pure function of inputs and responses."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dse_cli.contracts.artifact import StopReason
from dse_cli.contracts.base import Contract, Items, Sha256
from dse_cli.contracts.channel import ServedChannel
from dse_cli.contracts.search_record import DemoSetRecord, ProposalRecord, TrialRecord

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://dse.dev/compile/v1"
HexDigest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Digest(Contract):
    """A digest as in-toto spells it: algorithm to hex."""

    sha256: HexDigest


class Resource(Contract):
    """Something that was read or written, known by its digest."""

    name: str
    digest: Digest
    annotations: dict[str, Any] = Field(default_factory=dict)


class BuildDefinition(Contract):
    """What the user chose, and what the run depended on."""

    buildType: str  # noqa: N815 - spelled as the in-toto predicate spells it
    externalParameters: dict[str, Any]  # noqa: N815
    resolvedDependencies: Items[Resource]  # noqa: N815


class RunDetails(Contract):
    """Who built it, and what else came out."""

    builder: dict[str, str]
    byproducts: Items[Resource]


class CandidateRecord(Contract):
    """One candidate of the search, in the order in which it was made.

    Attributes:
        id: compiled id of its policy.
        origin: how it was made, in a few words (``instruction:rules``).
        parent: candidate it was made from.
        mean: mean reward on val, None when it was not fully evaluated.
        n: rows that the mean is over; a row without an answer is not among them.
        tokens: tokens charged for that evaluation, None when unknown.
    """

    id: Sha256
    origin: str
    parent: Sha256 | None
    mean: float | None
    n: int
    tokens: int | None


class CompileResult(Contract):
    """What came of it.

    Attributes:
        proposals, demo_sets, trials: what the search did, in order; absent where an optimizer does
            none of it.
    """

    winner: Sha256
    improved: bool
    candidates: Items[CandidateRecord]
    stop_reason: StopReason
    charged: dict[str, int | None]
    proposals: Items[ProposalRecord] = ()
    demo_sets: Items[DemoSetRecord] = ()
    trials: Items[TrialRecord] = ()


class CompilePredicate(Contract):
    """The predicate of a compile receipt."""

    buildDefinition: BuildDefinition  # noqa: N815
    runDetails: RunDetails  # noqa: N815
    result: CompileResult


class CompileReceipt(Contract):
    """The whole of ``receipts/<run12>/receipt.json``."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Items[Resource]
    predicateType: Literal["https://dse.dev/compile/v1"]  # noqa: N815
    predicate: CompilePredicate


class PredictReceipt(Contract):
    """One prediction, on every path out of it, cancellation included.

    Attributes:
        started_at, duration_ms: wall clock; this receipt is not hashed and stays out of git.
        result: ``ok``, or the kind of the error.
        channel: by which pointer the policy was found; ``explicit`` is one that was named.
        canary: salt of the canary that ran, on both channels.
        routing_key: hash of the request's key; absent when no key was given and no canary ran.
    """

    format: Literal["dse/predict_receipt/v1"]
    signature_id: str
    compiled_id: Sha256
    hashes: dict[str, str]
    input_hash: Sha256
    output_hash: Sha256 | None
    model: str
    served_model: str
    result: str
    message: str | None
    request_keys: Items[str]
    lm_calls: int
    repairs: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost_nano_usd: int | None
    started_at: str
    duration_ms: int
    channel: ServedChannel | None = None
    canary: str | None = None
    routing_key: Sha256 | None = None
