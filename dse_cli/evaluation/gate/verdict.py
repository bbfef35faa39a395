"""The verdict of a gate and the one line that reports it: pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.evaluation.gate.non_inferiority import NonInferiorityFinding, objections
from dse_cli.evaluation.statistics.paired_test import look_level
from dse_cli.evaluation.views.words import p_text, points, signed, signed_percent

if TYPE_CHECKING:
    from dse_cli.contracts.history import GuardResult, PairedTest, Verdict
    from dse_cli.contracts.project import GatePolicy

#: Recorded numbers have 12 decimals; a threshold that is met exactly must not fail by the last.
_TOLERANCE: Final = 1e-12


class Decision(NamedTuple):
    """What one look at a holdout comes to.

    Attributes:
        verdict: only ``promote`` moves the pointer.
        reason: why it stays, where the line of the comparison does not say so.
    """

    verdict: Verdict
    reason: str | None


def decide(comparison: PairedTest, policy: GatePolicy, look: int) -> tuple[Verdict, float]:
    """Return what the rewards alone say of one look at a holdout, and the level it was tested at.

    ``promote``: p within the level, and delta at least ``min_effect``. ``regression``: the whole
    interval below -margin. ``no_change``: the whole interval within the margin. ``cannot_tell``:
    the rest. So few rows that no outcome could have reached the level are never more than
    ``cannot_tell``: the bootstrap of three equal numbers has no width.

    Args:
        comparison: candidate against baseline.
        policy: of the project.
        look: which look at this holdout revision this is, from 1.
    """
    level = look_level(policy.alpha, look)
    return _verdict(comparison, policy, level), level


def conclude(
    comparison: PairedTest,
    policy: GatePolicy,
    look: int,
    *,
    guards: Sequence[GuardResult] = (),
    unmeasured: Sequence[str] = (),
    non_inferiority: NonInferiorityFinding | None = None,
) -> Decision:
    """Return the verdict of one look, guards and mode included.

    Args:
        comparison: candidate against baseline.
        policy: of the project.
        look: which look at this holdout revision this is, from 1.
        guards: what they found.
        unmeasured: what a rule of the policy asks for and could not be measured, a phrase each.
        non_inferiority: in that mode, what it rests on.
    """
    verdict, _ = decide(comparison, policy, look)
    reasons: list[str] = []
    if non_inferiority is not None:
        reasons = objections(non_inferiority, policy.margin)
        if comparison.test == "none" or (reasons and verdict != "regression"):
            verdict = "cannot_tell"
        elif not reasons:
            verdict = "promote"
    elif verdict == "cannot_tell" and _is_too_small(comparison, policy, look):
        reasons = [f"the gain is below min_effect, {points(policy.min_effect)} points"]
    if verdict == "promote" and unmeasured:
        return Decision("cannot_tell", "; ".join(unmeasured))
    tripped = [guard for guard in guards if guard.tripped]
    if verdict == "promote" and tripped:
        return Decision("guard", "; ".join(map(guard_text, tripped)))
    return Decision(verdict, "; ".join(reasons) or None)


def minimum_pairs(alpha: float, look: int = 1) -> int:
    """Return the fewest pairs of which an exact test can reach the level of a look.

    The sharpest outcome, all n pairs on one side, has p = 0.5^n.
    """
    level, pairs = look_level(alpha, look), 1
    while 0.5**pairs > level:
        pairs += 1
    return pairs


def holdout_problem(pairs: int, alpha: float, look: int = 1, *, unit: str = "rows") -> str | None:
    """Return why no gate should open a holdout, or None: it is too small for any outcome.

    Args:
        pairs: rows of the holdout, or groups of rows.
        alpha: over all looks.
        look: which look this would be, from 1.
        unit: what is counted, ``rows`` or ``groups``.
    """
    needed = minimum_pairs(alpha, look)
    if pairs >= needed:
        return None
    level = look_level(alpha, look)
    return (
        f"the holdout has {pairs} {unit if pairs != 1 else unit[:-1]}; no exact test of so few "
        f"can reach level {level:.4g}: at least {needed} are needed"
    )


def _verdict(comparison: PairedTest, policy: GatePolicy, level: float) -> Verdict:
    delta, low, high = comparison.delta, comparison.low, comparison.high
    if comparison.test == "none":
        return "cannot_tell"
    if comparison.p <= level and 0 < delta >= policy.min_effect - _TOLERANCE:
        return "promote"
    if high < -policy.margin and _could_tell(comparison.wins + comparison.losses, level):
        return "regression"
    within = -policy.margin - _TOLERANCE <= low and high <= policy.margin + _TOLERANCE
    if within and _could_tell(comparison.n, level):
        return "no_change"
    return "cannot_tell"


def _could_tell(rows: int, level: float) -> bool:
    """Tell whether that many differences, all on one side, would reach the level."""
    return 0.5**rows <= level


def _is_too_small(comparison: PairedTest, policy: GatePolicy, look: int) -> bool:
    """Tell whether a gain was shown that is not large enough."""
    return comparison.p <= look_level(policy.alpha, look) and comparison.delta > 0


def guard_text(guard: GuardResult) -> str:
    """Return what a guard found, in one phrase with units."""
    name = guard.name.replace("_", " ") if guard.name == "decode_failures" else guard.name
    if guard.name in {"tokens", "cost"}:
        change = "from none" if guard.delta is None else signed_percent(guard.delta)
        change = f"{change} (allowed {signed_percent(guard.limit)})"
    elif guard.name == "decode_failures":
        change = f"{signed(guard.delta or 0.0)} % of answers"
    else:
        change = f"{signed(guard.delta or 0.0)} points"
    return f"{name}: {change}, n = {guard.n}, {p_text(guard.adjusted_p, 'adjusted p')}"


def gate_line(
    comparison: PairedTest, search_mean: float | None, *, verdict: Verdict | None = None
) -> str:
    """Return a comparison in one line, with units.

    Args:
        comparison: candidate against baseline, rewards in [0, 1]; printed in points of 100.
        search_mean: what the search said of the candidate on val, or None.
        verdict: with ``cannot_tell``, the smallest effect that could have been found is named.
    """
    if comparison.n == 0:
        return "no pair of rewards to compare"
    line = (
        f"{signed(comparison.delta)} points "
        f"({points(comparison.baseline_mean)} -> {points(comparison.candidate_mean)}, "
        f"n = {comparison.n}, paired, {p_text(comparison.p)}, "
        f"95 % CI {signed(comparison.low)} to {signed(comparison.high)})"
    )
    if search_mean is not None:
        line += f", search said {points(search_mean)}"
    if verdict == "cannot_tell":
        line += f"; {_smallest(comparison)}"
    return line


def _smallest(comparison: PairedTest) -> str:
    effect = comparison.minimum_detectable
    if effect is None:
        return f"n = {comparison.n} could not have shown any effect"
    return f"smallest effect n = {comparison.n} could have shown: {points(effect)} points"
