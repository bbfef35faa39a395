"""``instruction_grid.v1``: score every written instruction, the authored one among them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.rank import Proposed, most_calls, rank
from dse_cli.optimizers.scheduling.settings import SchedulerSpec
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search


class InstructionGridConfig(Contract):
    """Settings; the grid itself is the search space.

    Attributes:
        scheduler: how the variants share the rows of val; each on all of them when absent.
    """

    scheduler: SchedulerSpec | None = None


class InstructionGrid(Optimizer[InstructionGridConfig]):
    """Base first, then each instruction variant in the order of its id.

    Each on all of val, or as the scheduler says.
    """

    id: ClassVar[str] = "instruction_grid.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"instructions"})

    async def search(self, search: Search, config: InstructionGridConfig) -> None:
        """Evaluate the grid."""
        base = await search.try_base()
        await rank(search, variants(search, base), config.scheduler)

    def most_candidates(self, search: Search, config: InstructionGridConfig) -> int:
        """Return the size of the grid."""
        return 1 + len(search.space.instructions)

    def plan(self, search: Search, config: InstructionGridConfig) -> SearchPlan:
        """Return the grid, and what its scheduler may need."""
        return scheduled_plan(search, self.most_candidates(search, config), config.scheduler)

    def problems(
        self, config: InstructionGridConfig, *, train: int, val: int
    ) -> Sequence[SettingProblem]:
        """Refuse a scheduler without an effect."""
        return scheduler_problems(config.scheduler, val)


def variants(search: Search, base: Entry) -> list[Proposed]:
    """Return the written instructions, in the order of their ids."""
    return [
        Proposed(
            search.base.patched({"instruction": {"text": variant.text}}),
            f"instruction:{variant.id}",
            base,
        )
        for variant in sorted(search.space.instructions, key=lambda variant: variant.id)
    ]


def scheduled_plan(search: Search, candidates: int, scheduler: SchedulerSpec | None) -> SearchPlan:
    """Return the plan of a base in full and of candidates that a scheduler ranks."""
    rows = len(search.val)
    return SearchPlan(candidates, rows + most_calls(candidates - 1, rows, scheduler))
