"""``mipro_v2.v1``: bootstrapped demos, grounded instructions, and a Bayesian search over both.

Opsahl-Ong et al. 2024, "Optimizing Instructions and Demonstrations for Multi-Stage Language Model
Programs" (arXiv:2406.11695), in the form and with the constants of DSPy's MIPROv2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from dse_cli.evaluation.candidate import MAIN
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.demos.bootstrap import train_pool
from dse_cli.optimizers.demos.demo_sets import Recipe, make_demo_sets
from dse_cli.optimizers.mipro.config import (
    AUTO,
    MINIBATCH_SETTINGS,
    ZERO_SHOT_DEMOS,
    MiproV2Config,
    RaceSpec,
    trials_for,
)
from dse_cli.optimizers.mipro.instructions import Grounding, questions_at_most
from dse_cli.optimizers.mipro.schedule import Schedule
from dse_cli.optimizers.mipro.space import ComponentChoices, sizes
from dse_cli.optimizers.mipro.tpe import LIBRARIES
from dse_cli.optimizers.mipro.trials import FullEvaluation, MiproSearch, evaluate_in_full
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.rank import Proposed, rank
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.meta import MetaName
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.proposals.proposer import Proposal
    from dse_cli.optimizers.search import Search

STREAM = "mipro_v2"
#: Auto mode evaluates in minibatches when val has more rows than this.
MINIBATCH_ABOVE = 50


class MiproV2(Optimizer[MiproV2Config]):
    """The three published steps, after the default program."""

    id: ClassVar[str] = "mipro_v2.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"few_shot"})
    needs_space: ClassVar[bool] = False
    teaches: ClassVar[bool] = True
    libraries: ClassVar[tuple[str, ...]] = LIBRARIES
    meta: ClassVar[tuple[MetaName, ...]] = (
        "describe_dataset",
        "summarize_observations",
        "describe_program",
        "describe_module",
        "propose_instruction",
    )

    async def search(self, search: Search, config: MiproV2Config) -> None:
        """Evaluate the default program, then bootstrap, propose, and search."""
        base = await search.try_base()
        mean = search.archive.mean(base)
        search.log.trial("base", base, rows=len(search.val), mean=mean)
        sets = await make_demo_sets(search, recipe_of(config))
        grounding = Grounding(search, config, stream=STREAM)
        proposals = await grounding.propose(search.base, sets, config.instructions - 1)
        texts = [search.base.instruction, *(proposal.text for proposal in proposals)]
        demos = None if config.is_zero_shot else [made.demos for made in sets]
        choices = {MAIN: ComponentChoices(texts, demos)}
        if math.prod(sizes(choices).values()) == 1:
            return
        schedule = schedule_of(config, components=1, val=len(search.val))
        try:
            full = evaluate_in_full if config.scheduler is None else raced(config.scheduler)
            await MiproSearch(search, base, choices, schedule, stream=STREAM, full=full).run()
        finally:
            _link(search, grounding, proposals)

    def most_candidates(self, search: Search, config: MiproV2Config) -> int:
        """Return the default program and one a trial."""
        return 1 + schedule_of(config, components=1, val=len(search.val)).trials

    def plan(self, search: Search, config: MiproV2Config) -> SearchPlan:
        """Return the published counts, and bootstrapping in which no rollout passes."""
        schedule = schedule_of(config, components=1, val=len(search.val))
        recipe = recipe_of(config).capped(search)
        bootstrapping = recipe.rollouts_at_most(len(train_pool(search)))
        return SearchPlan(
            candidates=1 + schedule.trials,
            metric_calls=schedule.metric_calls(len(search.val)) + bootstrapping,
            queries=questions_at_most(config, train=len(search.train)),
            demos=0 if config.is_zero_shot else max(recipe.max_bootstrapped, recipe.max_labelled),
        )

    def selection(self, val: Sequence[Row], config: MiproV2Config, seed: int) -> Sequence[Row]:
        """Return the rows of val that an auto mode looks at: a drawn sample of at most its size."""
        size = len(val) if config.auto is None else AUTO[config.auto].val
        if size >= len(val):
            return val
        drawn = substream(seed, STREAM, "val").sample(range(len(val)), size)
        return [val[index] for index in sorted(drawn)]

    def problems(self, config: MiproV2Config, *, train: int, val: int) -> Sequence[SettingProblem]:
        """Return minibatch settings that do not fit the number of rows of val."""
        size = "minibatch_size"
        rows = val if config.auto is None else min(val, AUTO[config.auto].val)
        schedule = schedule_of(config, components=1, val=rows)
        changed = config.changed(*MINIBATCH_SETTINGS)
        if schedule.minibatch is not None and schedule.minibatch > rows:
            hint = f"set {size} to at most {rows}"
            if config.auto is None:
                hint += ", or minibatch: false"
            message = f"a minibatch of {schedule.minibatch} rows is more than the {rows} of val"
            return [SettingProblem(size, message, hint)]
        if problems := scheduler_problems(config.scheduler, rows):
            return problems
        if schedule.minibatch is None and config.auto is not None and changed:
            message = (
                f"{changed[0]} has no effect: auto evaluates in minibatches when val has more "
                f"than {MINIBATCH_ABOVE} rows, and it has {rows}"
            )
            return [SettingProblem(changed[0], message, "remove it")]
        return []


def schedule_of(config: MiproV2Config, *, components: int, val: int) -> Schedule:
    """Return the trials of a search over ``components`` components and ``val`` rows."""
    if config.auto is None:
        minibatch = config.minibatch_size if config.minibatch else None
        return Schedule(config.num_trials or 1, minibatch, config.minibatch_full_eval_steps)
    trials = trials_for(components, AUTO[config.auto].candidates, demos=not config.is_zero_shot)
    minibatch = config.minibatch_size if val > MINIBATCH_ABOVE else None
    return Schedule(trials, minibatch, config.minibatch_full_eval_steps)


def raced(scheduler: RaceSpec) -> FullEvaluation:
    """Return a full evaluation that gives up what cannot catch up with the best so far."""

    async def race(search: Search, entry: Entry) -> None:
        await rank(search, [Proposed(entry.candidate.main, entry.origin, None)], scheduler)

    return race


def recipe_of(config: MiproV2Config) -> Recipe:
    """Return how demo sets are made; without demos to search, they still ground the proposals."""
    zero_shot = config.is_zero_shot
    grounding = ZERO_SHOT_DEMOS if config.bootstraps else 0
    return Recipe(
        sets=config.candidates,
        max_bootstrapped=grounding if zero_shot else config.max_bootstrapped_demos,
        max_labelled=0 if zero_shot else config.max_labeled_demos,
        threshold=config.metric_threshold,
        stream=STREAM,
    )


def _link(search: Search, grounding: Grounding, proposals: Sequence[Proposal]) -> None:
    """Write into each proposal the first candidate that was made of it."""
    first: dict[Any, str] = {}
    for trial in search.log.trials:
        choice: Mapping[str, Any] = trial.choice or {}
        first.setdefault(choice.get(f"{MAIN}.instruction"), trial.candidate)
    made = {entry.candidate.id: entry.candidate for entry in search.archive}
    for index, proposal in enumerate(proposals, start=1):
        if index in first:
            grounding.proposer.made(proposal, made[first[index]])
