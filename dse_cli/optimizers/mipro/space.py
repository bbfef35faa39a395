"""The space that MIPROv2 searches: an instruction and a demo set for every component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.evaluation.candidate import MAIN, Candidate
from dse_cli.optimizers.demos.bootstrap import with_demos

if TYPE_CHECKING:
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.optimizers.mipro.tpe import Choice

INSTRUCTION = "instruction"
DEMOS = "demos"


@dataclass(frozen=True, slots=True)
class ComponentChoices:
    """What one component may say and show.

    Attributes:
        instructions: the first is the one it has.
        demo_sets: None when demos are not searched: it keeps those it has.
    """

    instructions: Sequence[str]
    demo_sets: Sequence[Sequence[Demo]] | None


def sizes(choices: Mapping[str, ComponentChoices]) -> dict[str, int]:
    """Return the number of values of every parameter, in the order in which they are drawn."""
    found: dict[str, int] = {}
    for name, component in choices.items():
        found[f"{name}.{INSTRUCTION}"] = len(component.instructions)
        if component.demo_sets is not None:
            found[f"{name}.{DEMOS}"] = len(component.demo_sets)
    return found


def compose(base: Candidate, choices: Mapping[str, ComponentChoices], choice: Choice) -> Candidate:
    """Return the candidate that a choice stands for."""
    components = dict(base.components)
    for name, component in choices.items():
        policy = components[name]
        text = component.instructions[choice[f"{name}.{INSTRUCTION}"]]
        if text != policy.instruction:
            policy = policy.patched({"instruction": {"text": text}})
        if component.demo_sets is not None:
            policy = with_demos(policy, component.demo_sets[choice[f"{name}.{DEMOS}"]])
        components[name] = policy
    return Candidate(components)


def origin_of(choice: Choice) -> str:
    """Return how a candidate was made, in a few words."""
    return ",".join(f"{name.removeprefix(MAIN + '.')}={index}" for name, index in choice.items())
