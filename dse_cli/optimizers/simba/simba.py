"""``simba.v1``: stochastic introspective mini-batch ascent, by demos and rules from rows that vary.

SIMBA of DSPy (``dspy/teleprompt/simba.py``). Each step samples programs of the pool on a minibatch
of train rows, several times a row; rows whose samples differ most teach most. From them new
programs are made: a drawn program loses some demos, then gains the best trajectory as a demo, or
a rule that a proposer wrote on comparing the best with the worst. They are measured on the same
minibatch and join the pool. In the end the winners of the steps, at most seven by default, are
measured in full.

Other than published: in full means on val, not on the train rows that taught; a row never scores a
program that shows it as a demo; long inputs of demos are not cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from dse_cli.contracts.base import Contract
from dse_cli.contracts.meta import MetaName
from dse_cli.evaluation.ledger import BudgetStopError
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem
from dse_cli.optimizers.simba.run import SimbaRun
from dse_cli.optimizers.simba.schedule import (
    programs_per_step,
    step_cells,
    teaching_rows,
    winner_places,
)

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search

SoftmaxTemperature = Annotated[float, Field(gt=0, le=100)]


class SimbaConfig(Contract):
    """Settings, with the published names and defaults.

    Attributes:
        bsize: train rows of a minibatch; all of train where it has fewer than the default.
        num_candidates: samples of each row, and one less than the programs that a step makes.
        max_steps: steps.
        max_demos: demos at which one is dropped for certain; at 0 only rules are appended.
        temperature_for_sampling: of the softmax that draws the program of a trajectory.
        temperature_for_candidates: of the softmax that draws the program to change.
        rollout_temperature: of the model while trajectories are sampled (published: always 1).
        advice_temperature: of the proposer.
    """

    bsize: Annotated[int, Field(ge=1, le=10_000)] = 32
    num_candidates: Annotated[int, Field(ge=1, le=100)] = 6
    max_steps: Annotated[int, Field(ge=1, le=1_000)] = 8
    max_demos: Annotated[int, Field(ge=0, le=64)] = 4
    temperature_for_sampling: SoftmaxTemperature = 0.2
    temperature_for_candidates: SoftmaxTemperature = 0.2
    rollout_temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    advice_temperature: Annotated[float, Field(ge=0, le=2)] = 1.0


class Simba(Optimizer[SimbaConfig]):
    """Sample, contrast, change, measure."""

    id: ClassVar[str] = "simba.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset()
    needs_space: ClassVar[bool] = False
    meta: ClassVar[tuple[MetaName, ...]] = ("offer_advice",)
    teaches: ClassVar[bool] = True

    async def search(self, search: Search, config: SimbaConfig) -> None:
        """Evaluate the base, then the steps, then their winners.

        A budget that ends a step does not end the search at once: what is left of it goes to the
        winners so far, the latest first.
        """
        teaching_rows(search)  # nothing is spent when there are none
        run = SimbaRun(search, config, await search.try_base())
        stopped: BudgetStopError | None = None
        try:
            for step in range(config.max_steps):
                await run.step(step)
        except BudgetStopError as reached:
            if reached.budget == "max_time_s":
                raise
            stopped = reached
        await run.measure_winners()
        if stopped is not None:
            raise stopped

    def most_candidates(self, search: Search, config: SimbaConfig) -> int:
        """Return the base and the programs of all steps."""
        rows = min(config.bsize, len(teaching_rows(search)))
        return 1 + config.max_steps * programs_per_step(config, rows)

    def plan(self, search: Search, config: SimbaConfig) -> SearchPlan:
        """Return what a run does when each bucket gives a new program that shows no row of it."""
        rows = min(config.bsize, len(teaching_rows(search)))
        finals = len(winner_places(config.max_steps, config.num_candidates))
        cells = config.max_steps * step_cells(config, rows) + finals * len(search.val)
        # An answer of no use sends a step on to the next bucket, until none is left.
        queries = config.max_steps * rows
        return SearchPlan(
            candidates=self.most_candidates(search, config),
            metric_calls=cells,
            queries=queries,
            texts=config.max_steps,
            demos=config.max_demos,
        )

    def problems(self, config: SimbaConfig, *, train: int, val: int) -> Sequence[SettingProblem]:
        """Return a minibatch that was asked for and that train is too small for."""
        if "bsize" in config.model_fields_set and config.bsize > train > 0:
            message = f"a minibatch of {config.bsize} rows is more than the {train} of train"
            return [SettingProblem("bsize", message, f"set bsize to at most {train}")]
        return []
