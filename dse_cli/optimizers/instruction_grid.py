"""``instruction_grid.v1``: score every written instruction, the authored one among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.search import Optimizer

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search


class InstructionGridConfig(Contract):
    """No settings: the grid is the search space."""


class InstructionGrid(Optimizer[InstructionGridConfig]):
    """Base first, then each instruction variant in the order of its id, each on all of val."""

    id: ClassVar[str] = "instruction_grid.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"instructions"})

    async def search(self, search: Search, config: InstructionGridConfig) -> None:
        """Evaluate the grid."""
        base = await search.try_base()
        for variant in sorted(search.space.instructions, key=lambda variant: variant.id):
            policy = search.base.patched({"instruction": {"text": variant.text}})
            await search.try_policy(policy, f"instruction:{variant.id}", base)

    def most_candidates(self, search: Search, config: InstructionGridConfig) -> int:
        """Return the size of the grid."""
        return 1 + len(search.space.instructions)
