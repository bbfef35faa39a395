"""``joint_instruction_grid_then_fewshot_greedy_forward.v1``: the grid, then demos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.fewshot_greedy_forward import greedy_evaluations, grow_demos
from dse_cli.optimizers.instruction_grid import InstructionGrid, InstructionGridConfig
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.settings import SchedulerSpec
from dse_cli.optimizers.search import Optimizer, SettingProblem

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search


class JointConfig(Contract):
    """Settings; the search space has both parts.

    Attributes:
        scheduler: how the variants, and then the demos of each round, share the rows of val; each
            on all of them when absent.
    """

    scheduler: SchedulerSpec | None = None


class JointInstructionGridThenFewShot(Optimizer[JointConfig]):
    """Coordinate descent in two steps."""

    id: ClassVar[str] = "joint_instruction_grid_then_fewshot_greedy_forward.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"instructions", "few_shot"})

    async def search(self, search: Search, config: JointConfig) -> None:
        """Evaluate the grid, then grow demos from its best."""
        await InstructionGrid().search(search, InstructionGridConfig(scheduler=config.scheduler))
        best = search.archive.best()
        if best is not None:
            await grow_demos(search, best.candidate.main, best, config.scheduler)

    def most_candidates(self, search: Search, config: JointConfig) -> int:
        """Return the grid, zero-shot, and the greedy rounds."""
        return 2 + len(search.space.instructions) + greedy_evaluations(search)

    def problems(self, config: JointConfig, *, train: int, val: int) -> Sequence[SettingProblem]:
        """Refuse a scheduler without an effect."""
        return scheduler_problems(config.scheduler, val)
