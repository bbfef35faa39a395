"""How numbers of a comparison are spelled: in points of 100, with a sign where it is a change."""

from __future__ import annotations

from typing import Final

_SMALLEST_SHOWN: Final = 0.001


def points(reward: float) -> str:
    """Return a reward in points of 100."""
    return f"{100 * reward:.1f}"


def signed(reward: float) -> str:
    """Return a difference of rewards in points of 100, with its sign."""
    # Adding 0.0 turns the -0.0 that rounding may leave into 0.0.
    return f"{round(100 * reward, 1) + 0.0:+.1f}"


def percent(share: float) -> str:
    """Return a share in percent, with one decimal."""
    return f"{round(100 * share, 1) + 0.0:.1f} %"


def signed_percent(change: float) -> str:
    """Return a relative change in percent, with its sign."""
    return f"{signed(change)} %"


def counted(number: int, word: str) -> str:
    """Return a number with its noun: ``1 row``, ``1,200 rows``."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def p_text(p: float, name: str = "p") -> str:
    """Return a p-value; a tiny one is never printed as 0."""
    return f"{name} < 0.001" if p < _SMALLEST_SHOWN else f"{name} = {p:.3f}"
