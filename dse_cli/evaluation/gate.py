"""The verdict of a gate and the one line that reports it: pure functions of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dse_cli.evaluation.statistics import look_level

if TYPE_CHECKING:
    from dse_cli.contracts.history import PairedTest, Verdict
    from dse_cli.contracts.project import GatePolicy

_SMALLEST_SHOWN: Final = 0.001
#: Recorded numbers have 12 decimals; a threshold that is met exactly must not fail by the last.
_TOLERANCE: Final = 1e-12


def decide(comparison: PairedTest, policy: GatePolicy, look: int) -> tuple[Verdict, float]:
    """Return the verdict of one look at a holdout, and the level it was tested at.

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
    p = "p < 0.001" if comparison.p < _SMALLEST_SHOWN else f"p = {comparison.p:.3f}"
    line = (
        f"{_signed(comparison.delta)} points "
        f"({_points(comparison.baseline_mean)} -> {_points(comparison.candidate_mean)}, "
        f"n = {comparison.n}, paired, {p}, "
        f"95 % CI {_signed(comparison.low)} to {_signed(comparison.high)})"
    )
    if search_mean is not None:
        line += f", search said {_points(search_mean)}"
    if verdict == "cannot_tell":
        line += f"; {_smallest(comparison)}"
    return line


def _smallest(comparison: PairedTest) -> str:
    effect = comparison.minimum_detectable
    if effect is None:
        return f"n = {comparison.n} could not have shown any effect"
    return f"smallest effect n = {comparison.n} could have shown: {_points(effect)} points"


def _points(reward: float) -> str:
    return f"{100 * reward:.1f}"


def _signed(reward: float) -> str:
    # Adding 0.0 turns the -0.0 that rounding may leave into 0.0.
    return f"{round(100 * reward, 1) + 0.0:+.1f}"
