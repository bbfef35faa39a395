"""``successive_halving.v1``: many candidates on few rows, few candidates on many rows.

Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization
(arXiv:1502.07943), figure 3. The arms are the combinations of knobs and instruction variants, a
pull is one row of val::

    S_0 = the candidates
    for k = 0 .. ceil(log_eta n) - 1:
        evaluate each of S_k on r_k = floor(B / (|S_k| ceil(log_eta n))) more rows
        S_{k+1} = the best ceil(|S_k| / eta) of S_k on all rows so far

The base is not an arm: it is measured in full, as always, and so is the arm that is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from dse_cli.optimizers.instruction_grid import scheduled_plan
from dse_cli.optimizers.knobs_grid import axes, combinations
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.rank import rank
from dse_cli.optimizers.scheduling.settings import HalvingSettings, HalvingSpec
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search


class SuccessiveHalvingConfig(HalvingSettings):
    """Settings: those of the schedule, and how many candidates there are.

    Attributes:
        max_candidates: most combinations, the base not counted; drawn as in ``knobs_grid.v1``.
    """

    max_candidates: Annotated[int, Field(ge=1, le=500)] = 128

    @property
    def scheduler(self) -> HalvingSpec:
        """The schedule."""
        return HalvingSpec(id="successive_halving", eta=self.eta, budget_share=self.budget_share)


class SuccessiveHalving(Optimizer[SuccessiveHalvingConfig]):
    """Successive halving over knobs and instruction variants."""

    id: ClassVar[str] = "successive_halving.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"knobs", "instructions"})

    async def search(self, search: Search, config: SuccessiveHalvingConfig) -> None:
        """Evaluate the base, then halve."""
        base = await search.try_base()
        search.log.trial("base", base, rows=len(search.val), mean=search.archive.mean(base))
        await rank(search, combinations(search, config.max_candidates, base), config.scheduler)

    def most_candidates(self, search: Search, config: SuccessiveHalvingConfig) -> int:
        """Return the base and the combinations."""
        size = math.prod(len(values) for _, values in axes(search))
        return 1 + min(size, config.max_candidates)

    def plan(self, search: Search, config: SuccessiveHalvingConfig) -> SearchPlan:
        """Return the base in full, the rungs, and what the last candidate lacks after them."""
        return scheduled_plan(search, self.most_candidates(search, config), config.scheduler)

    def problems(
        self, config: SuccessiveHalvingConfig, *, train: int, val: int
    ) -> Sequence[SettingProblem]:
        """Refuse a val that is too small for any rung."""
        return scheduler_problems(config.scheduler, val)
