"""One look at the holdout for a move of a pointer, and whether the pointer may move by it."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.errors import (
    AlteredError,
    DseError,
    NothingSelectedError,
    PointerMovedError,
    SpecError,
    UsageError,
)
from dse_cli.registry.history import append
from dse_cli.workflows.promotion.gate import next_look, run_gate
from dse_cli.workflows.promotion.gate_checks import check_gate, check_promise
from dse_cli.workflows.promotion.records import new_record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.history import GateEvidence, GateMode
    from dse_cli.registry.store import SignatureStore
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

    The look is not recorded here: what moves by it is (:func:`counted`).

    Raises:
        NothingSelectedError: the dataset has no holdout, and there is no override.
        SpecError: the gate could not answer what it is asked, and there is no override.
        InfrastructureError: too many outages; nothing can be said.
    """
    check_promise(inputs, terms.mode)
    try:
        holdout = inputs.rows("holdout")
        check_gate(inputs, candidate, baseline, next_look(inputs.store, holdout), terms.mode)
    except (NothingSelectedError, SpecError) as problem:
        if terms.override is None:
            raise
        return Measured(None, problem.message, overridden=True, moves=True, paid_calls=0)
    # Outside: what goes wrong while measuring is no reason that an override could do without.
    run = await run_gate(inputs, candidate, baseline, holdout, options, mode=terms.mode)
    evidence = run.evidence
    passed = evidence.verdict == "promote"
    overridden = not passed and terms.override is not None
    return Measured(evidence, "", overridden, passed or overridden, run.paid_calls)


@contextmanager
def counted(store: SignatureStore, measured: Measured, parts: dict[str, Any]) -> Iterator[None]:
    """Make the move that a look was for; if it is refused, the look is recorded all the same.

    The holdout was opened, and each look is counted, whatever became of it (law 8).

    Args:
        parts: of the record: signature, policies and evidence.

    Raises:
        UsageError: a scripted model answered; no override helps.
    """
    try:
        _refuse_scripted(measured)
        yield
    except (UsageError, PointerMovedError, AlteredError) as refused:
        if measured.evidence is not None:
            # A history that does not verify takes no record; then the error says so.
            with suppress(DseError):
                append(store, new_record("refuse", **parts, reason=refused.message))
        raise


def _refuse_scripted(measured: Measured) -> None:
    evidence = measured.evidence
    if evidence is not None and (evidence.candidate.scripted or evidence.baseline.scripted):
        raise UsageError(
            "a scripted model answered: such evidence can never promote",
            hint="run the gate on the model that the policy pins",
        )


def refuse_hopeless(candidate: NamedPolicy, baseline: NamedPolicy, *, name: str) -> None:
    """Refuse, before anything is measured, what no gate and no override could move a pointer to.

    Args:
        name: folder of the signature, for the hint.

    Raises:
        UsageError: the authored policy, the active one, or evidence of a scripted model.
    """
    if candidate.artifact is None:
        raise UsageError("the authored policy has no evidence to promote; use dse rollback")
    if candidate.policy.id == baseline.policy.id:
        raise UsageError(
            "the candidate is the active policy: there is nothing to compare",
            hint=f"name another artifact: 'dse list {name}' shows them",
        )
    evidence = candidate.artifact.evaluation
    if evidence.scripted or candidate.artifact.baseline.scripted:
        raise UsageError(
            "the artifact was compiled with a scripted model: it can never be promoted",
            hint="compile it again on a real model",
        )
