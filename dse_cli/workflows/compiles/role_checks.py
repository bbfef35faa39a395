"""Whether each role that a job fills has something to do: what has no effect is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.optimizers.search import Optimizer
    from dse_cli.project.document import Loc
    from dse_cli.workflows.inputs import JobInputs

#: Limits that a proposer can use up.
_SHARED = ("max_lm_calls", "max_tokens", "max_cost_usd")


def role_problems(inputs: JobInputs, optimizer: Optimizer[Any]) -> list[Diagnostic]:
    """Return what a job says about proposer, teacher and meta-signatures for nothing."""
    job, document = inputs.job, inputs.job_document
    asks = bool(optimizer.meta)
    found: list[tuple[Loc, str, str, str | None]] = []
    asks_nothing = f"{optimizer.id} asks no proposer"
    if job.models.proposer is not None:
        place: Loc = ("models", "proposer")
        if not asks:
            found.append((place, "unused-model", asks_nothing, "remove it"))
        elif all(meta.pins_model for meta in inputs.meta):
            message = "every meta-signature is pinned to a model of its own"
            found.append((place, "unused-model", message, "remove it, or the pins"))
    if job.models.teacher is not None and not optimizer.teaches:
        message = f"{optimizer.id} bootstraps no demos, so that nobody is taught"
        found.append((("models", "teacher"), "unused-model", message, "remove it"))
    if job.budget.proposer_share is not None:
        place = ("budget", "proposer_share")
        if not asks:
            found.append((place, "unused-share", asks_nothing, "remove it"))
        elif all(getattr(job.budget, limit) is None for limit in _SHARED):
            message = "there is no limit to have a share of"
            found.append((place, "unused-share", message, f"set one of {', '.join(_SHARED)}"))
    for name in sorted(set(job.meta) - set(optimizer.meta)):
        message = f"{optimizer.id} does not ask {name}"
        hint = f"it asks: {', '.join(optimizer.meta) or 'nothing'}"
        found.append((("meta", name), "unused-meta", message, hint))
    return [
        document.diagnostic(loc, code, message, hint, key=True)
        for loc, code, message, hint in found
    ]
