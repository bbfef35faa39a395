"""Pointer, history records and gate evidence (DESIGN sections 3 and 4.1)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dse_cli.contracts.base import Contract, Items, Sha256
from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.signature import SignatureId

HISTORY_FORMAT: Final = "dse/history/v1"

Verdict = Literal["promote", "regression", "no_change", "cannot_tell"]
HistoryEvent = Literal["promote", "refuse", "rollback"]


class PolicyRef(Contract):
    """A policy and the artifact file that holds it, None for the authored policy."""

    compiled_id: Sha256
    artifact: str | None
    artifact_digest: Sha256 | None


class PairedTest(Contract):
    """A paired comparison of candidate and baseline on the same rows.

    Attributes:
        test: which test gave ``p``.
        n: pairs.
        candidate_mean, baseline_mean, delta: rewards in [0, 1].
        p: one-sided p-value of "candidate is not better".
        low, high: 95 % interval of delta, seeded paired bootstrap.
        wins, losses, ties: rows by the sign of their difference.
        minimum_detectable: smallest effect this n could have shown at this level with power 0.8.
    """

    test: Literal["mcnemar_mid_p", "sign_flip_exact", "sign_flip_sampled", "none"]
    n: Annotated[int, Field(ge=0)]
    candidate_mean: float
    baseline_mean: float
    delta: float
    p: float
    low: float
    high: float
    wins: int
    losses: int
    ties: int
    minimum_detectable: float | None


class GateEvidence(Contract):
    """What the gate measured, on what, and what it decided.

    Attributes:
        look: which look at this holdout revision this was, from 1.
        level: alpha / (look (look + 1)).
    """

    verdict: Verdict
    dataset_revision: Sha256
    split_hash: Sha256
    reward_hash: Sha256
    models: Items[str]
    look: Annotated[int, Field(ge=1)]
    alpha: float
    level: float
    min_effect: float
    margin: float
    seed: int
    comparison: PairedTest
    candidate: EvalSummary
    baseline: EvalSummary
    line: str


class HistoryRecord(Contract):
    """One pointer move, refusal or rollback; ``previous`` chains the files by their digest."""

    format: Literal["dse/history/v1"]
    sequence: Annotated[int, Field(ge=1)]
    event: HistoryEvent
    signature_id: SignatureId
    channel: Literal["active"] = "active"
    source: PolicyRef | None
    target: PolicyRef | None
    reason: str | None
    gate: GateEvidence | None
    previous: Sha256 | None


class ActivePointer(Contract):
    """``artifacts/<name>/active.yaml``: the pointer, and the policy in readable form."""

    dse: Literal["active/v1"]
    signature_id: SignatureId
    compiled_id: Sha256
    artifact: Annotated[str, Field(pattern=r"^compiled/[0-9a-f]{12}-[0-9a-f]{12}\.json$")]
    artifact_digest: Sha256
    policy: dict[str, Any]
