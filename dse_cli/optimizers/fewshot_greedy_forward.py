"""``fewshot_greedy_forward.v1``: add the train row that helps most as a demo, until none helps.

The search starts from an explicit zero-shot state (no demos at all), which is a candidate besides
the base when the base has authored demos. Each step tries every row of the pool as the next demo
and keeps the best when it is strictly better. Demos keep the order in which they were chosen: what
was selected is what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.scheduling.rank import Proposed, rank
from dse_cli.optimizers.search import Optimizer

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.scheduling.settings import SchedulerSpec
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy


class FewShotGreedyForwardConfig(Contract):
    """No settings: ``search_space.few_shot`` says how many demos and from which rows."""


class FewShotGreedyForward(Optimizer[FewShotGreedyForwardConfig]):
    """Greedy forward selection of demos."""

    id: ClassVar[str] = "fewshot_greedy_forward.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"few_shot"})

    async def search(self, search: Search, config: FewShotGreedyForwardConfig) -> None:
        """Evaluate base, zero-shot, and the greedy path."""
        base = await search.try_base()
        await grow_demos(search, search.base, base)

    def most_candidates(self, search: Search, config: FewShotGreedyForwardConfig) -> int:
        """Return base, zero-shot and a full round for each demo."""
        return 2 + greedy_evaluations(search)


async def grow_demos(
    search: Search, policy: Policy, parent: Entry, scheduler: SchedulerSpec | None = None
) -> Entry:
    """Run the greedy path from ``policy`` without demos and return its best entry."""
    space = search.space.few_shot
    current = parent
    if policy.demos:
        # With no demos to take away, the parent is the zero-shot state: the same prompt under
        # another id would cost a pass over val and tell nothing.
        zero_shot = policy.patched({"few_shot": {"examples": []}})
        current = await search.try_policy(zero_shot, "demos:none", parent)
    chosen: list[Row] = []
    pool = demo_pool(search)
    while space is not None and pool and len(chosen) < space.k_max:
        tried = [
            Proposed(_with_demos(policy, [*chosen, row]), f"demos:+{row.id}", current)
            for row in pool
        ]
        best = await rank(search, tried, scheduler, rival=current)
        if best is None or not search.archive.is_better(best, current):
            break
        found = [item.policy.id for item in tried].index(best.candidate.id)
        chosen.append(pool.pop(found))
        current = best
    return current


def demo_pool(search: Search) -> list[Row]:
    """Return the train rows that may become demos, in id order."""
    space = search.space.few_shot
    if space is None:
        return []
    # A metric may take a list of right answers where the output has one: such a row is no demo.
    fits = search.base.signature.output_checker.fits
    rows = [row for row in search.train if set(space.tags) <= set(row.tags) and fits(row.expected)]
    if space.pool_size is not None and space.pool_size < len(rows):
        rows = substream(search.seed, "fewshot_greedy_forward", "pool").sample(
            rows, space.pool_size
        )
    return sorted(rows, key=lambda row: row.id)


def greedy_evaluations(search: Search) -> int:
    """Return the most candidates that the greedy rounds evaluate."""
    space = search.space.few_shot
    size = len(demo_pool(search))
    rounds = min(space.k_max, size) if space is not None else 0
    return sum(size - done for done in range(rounds))


def demo_json(row: Row) -> dict[str, Any]:
    """Return a train row as a demo, in full."""
    return {"id": row.id, "input": row.input, "output": row.expected, "source": "train"}


def _with_demos(policy: Policy, rows: Sequence[Row]) -> Policy:
    return policy.patched({"few_shot": {"examples": [demo_json(row) for row in rows]}})
