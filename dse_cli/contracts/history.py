"""Pointer, history records and gate evidence (DESIGN sections 3 and 4.1)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from dse_cli.contracts.base import Contract, Items, Sha256
from dse_cli.contracts.channel import CanaryNote, Channel
from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.signature import SignatureId

HISTORY_FORMAT: Final = "dse/history/v1"

Verdict = Literal["promote", "regression", "no_change", "cannot_tell", "guard"]
#: What a gate must show: a gain, or no loss beyond the margin with a promised saving.
GateMode = Literal["superiority", "non_inferiority"]
HistoryEvent = Literal["promote", "refuse", "rollback", "refresh", "resolve"]


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


class GuardResult(Contract):
    """What one guard found: a test that the candidate is worse than allowed.

    Attributes:
        name: ``decode_failures``, ``tokens``, ``cost``, or ``tag NAME``.
        n: pairs.
        delta: candidate minus baseline: reward for a tag, share of answers for decode failures;
            for tokens and cost the relative change of the mean per row, None when there is no
            baseline to relate it to.
        limit: the change that is still allowed, in the same unit.
        p: one-sided p-value of "the candidate is not worse than allowed".
        adjusted_p: by Holm over all guards of this look.
        tripped: the adjusted p is within alpha.
    """

    name: str
    n: Annotated[int, Field(ge=0)]
    delta: float | None
    limit: float
    p: float
    adjusted_p: float
    tripped: bool


class SavingResult(Contract):
    """Whether a promised saving is real.

    Attributes:
        name: what is saved.
        n: pairs.
        promised: share of the baseline's mean per row.
        observed: likewise, as measured; negative when the candidate needs more.
        p: one-sided p-value of "the saving is not above the promised one".
        shown: p is within the level.
    """

    name: Literal["tokens", "cost"]
    n: Annotated[int, Field(ge=0)]
    promised: float
    observed: float | None
    p: float
    shown: bool


class GateEvidence(Contract):
    """What the gate measured, on what, and what it decided.

    Attributes:
        look: which look at this holdout revision this was, from 1.
        level: alpha / (look (look + 1)).
        reason: why the pointer stays although the rewards alone do not say so; absent else.
        guards: what the guards found; absent without guards.
        mode: absent for superiority.
        lower_bound: one-sided bound of delta at 1 - level; in non-inferiority mode only.
        saving: the promised savings; in non-inferiority mode only.
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
    reason: str | None = None
    guards: Items[GuardResult] = ()
    mode: GateMode = "superiority"
    lower_bound: float | None = None
    saving: Items[SavingResult] = ()


class HistoryRecord(Contract):
    """One pointer move or refusal; ``previous`` chains the files by their digest.

    Fields with a default are written only where they say something.

    Attributes:
        event: ``promote`` and ``rollback`` move the pointer of their channel; ``refuse`` moves
            nothing; ``refresh`` moves it to newer evidence of the same policy; ``resolve`` joins
            two branches.
        override: True when a person moved the pointer although the gate did not pass; ``reason``
            says why.
        canary: what the canary was, of every record about one.
        merges: digest of the last record of the other branch, of a ``resolve``.
        digest: of all else in this record, so that an edit of the last one shows too; records
            older than this field have none.
    """

    format: Literal["dse/history/v1"]
    sequence: Annotated[int, Field(ge=1)]
    event: HistoryEvent
    signature_id: SignatureId
    channel: Channel = "active"
    source: PolicyRef | None
    target: PolicyRef | None
    reason: str | None
    gate: GateEvidence | None
    previous: Sha256 | None
    override: bool | None = None
    canary: CanaryNote | None = None
    merges: Sha256 | None = None
    digest: Sha256 | None = None


class ActivePointer(Contract):
    """``artifacts/<name>/active.yaml``: the pointer, and the policy in readable form."""

    dse: Literal["active/v1"]
    signature_id: SignatureId
    compiled_id: Sha256
    artifact: Annotated[str, Field(pattern=r"^compiled/[0-9a-f]{12}-[0-9a-f]{12}\.json$")]
    artifact_digest: Sha256
    policy: dict[str, Any]
