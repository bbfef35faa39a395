"""The tips of MIPRO's proposer: one of them, drawn at random, goes with each question.

The six kinds are those of the published proposer (arXiv 2406.11695, appendix; GroundedProposer in
DSPy); the words are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Text by name, in the published order. ``none`` asks for nothing in particular.
TIPS: Final[Mapping[str, str]] = {
    "none": "",
    "creative": "Be creative: approach the task in a way that nobody has tried yet.",
    "simple": "Keep it short and plain: no word more than it takes.",
    "description": "Be thorough: describe the task and its rules in detail.",
    "high_stakes": "Make clear that much depends on a right answer, and say for whom.",
    "persona": "Begin with who the model is: an expert whose work is just this task.",
}
