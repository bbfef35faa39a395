"""Step 2 of MIPROv2: instructions proposed by a model that is shown what is known of the task.

Each question carries a summary of the train rows, the program with a description, a description of
the component, bootstrapped demos of the matching demo set, and one random tip. Candidate 0 is the
authored instruction: DSPy asks for a proposal in its place and overwrites it, we do not ask.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.evaluation.candidate import MAIN
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.proposals.grounding import (
    MOST_BATCHES,
    Description,
    dataset_summary,
    demo_text,
    describe,
    module_text,
    program_text,
)
from dse_cli.optimizers.proposals.proposer import Ask, Proposal, Proposer
from dse_cli.optimizers.proposals.tips import TIPS

if TYPE_CHECKING:
    from dse_cli.optimizers.demos.demo_sets import DemoSet
    from dse_cli.optimizers.mipro.config import MiproV2Config
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy

#: Bootstrapped demos that a question shows, at most.
DEMOS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """What one proposal is grounded in besides what all of them are.

    Attributes:
        index: of the instruction, from 1; also that of its demo set.
        examples: demos, as text.
        tip: its name, None when tips are switched off.
        description: of program and component.
    """

    index: int
    examples: tuple[str, ...]
    tip: str | None
    description: Description


def questions_at_most(config: MiproV2Config, *, train: int) -> int:
    """Return the most questions to the proposer for one component and ``train`` rows."""
    proposals = config.instructions - 1
    batches = min(math.ceil(train / config.view_data_batch_size), MOST_BATCHES)
    summary = batches + 1 if config.data_aware_proposer and batches else 0
    return summary + proposals * (3 if config.program_aware_proposer else 1)


class Grounding:
    """Asks for instructions.

    Args:
        search: whose train rows, base and proposer are used.
        config: what the proposer sees.
        stream: name of the optimizer, for its sub-streams.
    """

    def __init__(self, search: Search, config: MiproV2Config, *, stream: str) -> None:
        self._search = search
        self._config = config
        self._stream = stream
        self.proposer = Proposer(search, temperature=config.init_temperature, stream=stream)

    async def propose(
        self, policy: Policy, sets: Sequence[DemoSet], count: int, *, component: str = MAIN
    ) -> list[Proposal]:
        """Return at most ``count`` usable new instructions for one component.

        Raises:
            BudgetStopError: the budget of the run does not cover the questions.
            InfrastructureError: too many outages.
        """
        place = "mipro" if component == MAIN else f"mipro/{component}"
        summary = await self._summary(place)
        drafts = [self._draft(index, sets, component) for index in range(1, count + 1)]
        if self._config.program_aware_proposer:
            drafts = await self._described(policy, drafts, place)
        asks = [self._ask_for(policy, draft, summary, place) for draft in drafts]
        known = [policy.instruction]
        return await self.proposer.instructions(asks, known=known, label="proposals")

    async def _summary(self, place: str) -> str:
        if not self._config.data_aware_proposer:
            return ""
        size = self._config.view_data_batch_size
        return await dataset_summary(self.proposer, self._search.train, place=place, batch=size)

    def _draft(self, index: int, sets: Sequence[DemoSet], component: str) -> Draft:
        """Ground a proposal in its demo set, then in those after it, then in those before."""
        examples: list[str] = []
        if self._config.fewshot_aware_proposer:
            near = [*sets[index:], *sets[:index]]
            demos = [demo for made in near for demo in made.bootstrapped]
            examples = [demo_text(demo) for demo in demos[:DEMOS_SHOWN]]
        tip = None
        if self._config.tip_aware_proposer:
            draw = substream(self._search.seed, self._stream, "tip", component, str(index))
            tip = draw.choice(list(TIPS))
        return Draft(index, tuple(examples), tip, Description())

    async def _described(self, policy: Policy, drafts: Sequence[Draft], place: str) -> list[Draft]:
        """Describe program and component anew for each proposal, as published."""
        shown = [draft.examples for draft in drafts]
        descriptions = await describe(self.proposer, policy, shown, place=place)
        return [
            Draft(draft.index, draft.examples, draft.tip, description)
            for draft, description in zip(drafts, descriptions, strict=True)
        ]

    def _ask_for(self, policy: Policy, draft: Draft, summary: str, place: str) -> Ask:
        program_aware = self._config.program_aware_proposer
        value = {
            "dataset_summary": summary,
            "program": program_text(policy) if program_aware else "",
            "program_description": draft.description.program,
            "module": module_text(policy) if program_aware else "",
            "module_description": draft.description.module,
            "task_demos": list(draft.examples),
            "basic_instruction": policy.instruction,
            "tip": "" if draft.tip is None else TIPS[draft.tip],
            "previous_instructions": [],
        }
        notes = [] if draft.tip is None else [f"tip {draft.tip}"]
        if self._config.fewshot_aware_proposer:
            notes.append(f"demo set {draft.index}")
        path = f"{place}/instruction={draft.index:03d}"
        return Ask("propose_instruction", value, path, ", ".join(notes))
