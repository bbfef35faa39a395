"""The second mode of the gate: not worse by the margin, and a promised saving that is real.

A cheaper model or a shorter prompt need not be better. It passes when the lower bound of delta, at
the level of the look, is above -margin, and every promised saving is shown at that level as well
(DESIGN section 4.1, rule 5).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dse_cli.evaluation.views.words import p_text, percent, points, signed

if TYPE_CHECKING:
    from dse_cli.contracts.history import SavingResult


class NonInferiorityFinding(NamedTuple):
    """What the second mode rests on.

    Attributes:
        lower_bound: of delta, one-sided at 1 - level; None when there is no pair.
        savings: the promised ones, tested.
    """

    lower_bound: float | None
    savings: tuple[SavingResult, ...]


def objections(found: NonInferiorityFinding, margin: float) -> list[str]:
    """Return why the candidate does not pass; nothing when it does."""
    reasons = []
    if found.lower_bound is None:
        reasons.append("there is no pair of rewards")
    elif not found.lower_bound > -margin:
        reasons.append(
            f"the lower bound of the difference, {signed(found.lower_bound)} points, "
            f"is not above {signed(-margin)}"
        )
    reasons += [
        f"a saving of {saving.name} above {percent(saving.promised)} is not shown "
        f"({_observed(saving)})"
        for saving in found.savings
        if not saving.shown
    ]
    return reasons


def finding_text(found: NonInferiorityFinding, margin: float) -> str:
    """Return the finding in a few words, for the line of the gate."""
    bound = "none" if found.lower_bound is None else f"{signed(found.lower_bound)} points"
    savings = [f"{saving.name} saved: {_observed(saving)}" for saving in found.savings]
    return "; ".join([f"lower bound {bound}, margin {points(margin)}", *savings])


def _observed(saving: SavingResult) -> str:
    if saving.observed is None:
        return "the baseline used none"
    return f"{percent(saving.observed)} measured, {p_text(saving.p)}"
