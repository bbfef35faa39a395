"""Numbers and foreign texts as every view of an evaluation spells them."""

from __future__ import annotations

import re
from typing import Final

from dse_cli.contracts.lm import NANO
from dse_cli.evaluation.views import words

#: As they are spelled in sentences of the layers below, too.
counted, percent = words.counted, words.percent

#: What a terminal would take for a command, what turns the direction of text, and lone surrogates.
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)

#: The older form of a workflow command, which the runner of GitHub Actions obeys wherever it stands
#: in a line of a log, and how it is written so that it is text.
ACTIONS_COMMAND: Final = "##["
DISARMED: Final = "## ["


def points(reward: float | None) -> str:
    """Return a reward in points of 100, ``-`` when there is none."""
    return "-" if reward is None else words.points(reward)


def dollars(nano_usd: int, *, sign: bool = False) -> str:
    """Return nano-dollars as dollars."""
    amount = f"${abs(nano_usd) / NANO:.4f}"
    if not sign:
        return amount
    return ("-" if nano_usd < 0 else "+") + amount


def one_line(text: str, most: int = 200) -> str:
    """Return a foreign text on one line, printable, at most ``most`` characters, cut visibly."""
    flat = _CONTROL.sub(lambda found: f"<U+{ord(found.group()):04X}>", " ".join(text.split()))
    flat = flat.replace(ACTIONS_COMMAND, DISARMED)
    return flat if len(flat) <= most else flat[: most - 1] + "…"
