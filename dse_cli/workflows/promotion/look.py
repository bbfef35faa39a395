"""One look at the holdout for a move of a pointer, and whether the pointer may move by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import NothingSelectedError, SpecError, UsageError
from dse_cli.workflows.promotion.gate import run_gate

if TYPE_CHECKING:
    from dse_cli.contracts.history import GateEvidence, GateMode
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy
    from dse_cli.workflows.session import RunOptions


@dataclass(frozen=True)
class GateTerms:
    """On what terms a pointer may move.

    Attributes:
        mode: what the gate has to show.
        override: why the pointer moves although the gate does not pass; None is no override.
    """

    mode: GateMode = "superiority"
    override: str | None = None

    def __post_init__(self) -> None:
        if self.override is not None and not self.override.strip():
            raise UsageError(
                "an override needs a reason, and this one is empty",
                hint='for example: --override "the old model is switched off tomorrow"',
            )


#: A gain, and no override.
PLAIN_TERMS: Final = GateTerms()


@dataclass(frozen=True)
class Measured:
    """What one look found.

    Attributes:
        evidence: None when nothing could be measured and an override does without.
        unmeasured: why there is no evidence; empty when there is.
        overridden: whether only the override lets the pointer move.
        moves: whether the pointer may move.
        paid_calls: model calls that really left the machine.
    """

    evidence: GateEvidence | None
    unmeasured: str
    overridden: bool
    moves: bool
    paid_calls: int


async def measure(
    inputs: JobInputs,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    options: RunOptions,
    terms: GateTerms,
) -> Measured:
    """Run the gate between two policies, on the holdout of the job.

    Raises:
        NothingSelectedError: the dataset has no holdout, and there is no override.
        SpecError: the gate could not answer what it is asked, and there is no override.
        UsageError: a scripted model answered; no override helps.
    """
    try:
        holdout = inputs.rows("holdout")
        run = await run_gate(inputs, candidate, baseline, holdout, options, mode=terms.mode)
    except (NothingSelectedError, SpecError) as problem:
        if terms.override is None:
            raise
        return Measured(None, problem.message, overridden=True, moves=True, paid_calls=0)
    evidence = run.evidence
    if evidence.candidate.scripted or evidence.baseline.scripted:
        raise UsageError(
            "a scripted model answered: such evidence can never promote",
            hint="run the gate on the model that the policy pins",
        )
    passed = evidence.verdict == "promote"
    overridden = not passed and terms.override is not None
    return Measured(evidence, "", overridden, passed or overridden, run.paid_calls)


def refuse_hopeless(candidate: NamedPolicy, baseline: NamedPolicy) -> None:
    """Refuse, before anything is measured, what no gate and no override could move a pointer to.

    Raises:
        UsageError: the authored policy, the active one, or evidence of a scripted model.
    """
    if candidate.artifact is None:
        raise UsageError("the authored policy has no evidence to promote; use dse rollback")
    if candidate.policy.id == baseline.policy.id:
        raise UsageError("the candidate is the active policy: there is nothing to compare")
    evidence = candidate.artifact.evaluation
    if evidence.scripted or candidate.artifact.baseline.scripted:
        raise UsageError(
            "the artifact was compiled with a scripted model: it can never be promoted",
            hint="compile it again on a real model",
        )
