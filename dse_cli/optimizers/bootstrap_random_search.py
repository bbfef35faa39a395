"""``bootstrap_random_search.v1``: many random demo sets, each evaluated in full.

DSPy's BootstrapFewShotWithRandomSearch (Khattab et al. 2023, arXiv:2310.03714, section 4): no
demos, labelled demos, bootstrapped demos, then bootstrapped demos on shuffled rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.archive import TIE
from dse_cli.optimizers.demos.bootstrap import train_pool, with_demos
from dse_cli.optimizers.demos.demo_sets import Recipe, make_demo_sets
from dse_cli.optimizers.search import Optimizer, SearchPlan

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search

#: Sets that every run has besides the shuffled ones: none, labelled, bootstrapped.
FIXED_SETS = 3


class BootstrapRandomSearchConfig(Contract):
    """Settings, with the published names and defaults.

    Attributes:
        num_candidate_programs: demo sets on shuffled rows.
        max_bootstrapped_demos: most bootstrapped demos of a set.
        max_labeled_demos: a set is filled with labelled rows up to so many demos.
        max_rounds: samples of a row, those after the first at temperature 1.
        metric_threshold: least reward of an answer that becomes a demo, above 0 to 1.
        stop_at_score: mean reward on val that ends the search, above 0 to 1; never when absent.
    """

    num_candidate_programs: Annotated[int, Field(ge=0, le=200)] = 16
    max_bootstrapped_demos: Annotated[int, Field(ge=1, le=64)] = 4
    max_labeled_demos: Annotated[int, Field(ge=0, le=64)] = 16
    max_rounds: Annotated[int, Field(ge=1, le=20)] = 1
    metric_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    stop_at_score: Annotated[float, Field(gt=0, le=1)] | None = None


class BootstrapRandomSearch(Optimizer[BootstrapRandomSearchConfig]):
    """The base, then every demo set on it, each on all of val."""

    id: ClassVar[str] = "bootstrap_random_search.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"few_shot"})
    needs_space: ClassVar[bool] = False
    teaches: ClassVar[bool] = True

    async def search(self, search: Search, config: BootstrapRandomSearchConfig) -> None:
        """Evaluate the base, then make and evaluate set after set."""
        base = await search.try_base()
        _logged(search, "base", base)
        recipe = recipe_of(config)
        for index in range(recipe.sets):
            if _is_enough(search, config):
                return
            [made] = await make_demo_sets(search, recipe, [index])
            policy = with_demos(search.base, made.demos)
            entry = await search.try_policy(policy, f"demos:{made.recipe}", base)
            _logged(search, "full", entry, index)

    def most_candidates(self, search: Search, config: BootstrapRandomSearchConfig) -> int:
        """Return the base and the sets; the set without demos is the base if that has none."""
        own = 1 if search.base.demos else 0
        return own + FIXED_SETS + config.num_candidate_programs

    def plan(self, search: Search, config: BootstrapRandomSearchConfig) -> SearchPlan:
        """Return full evaluations, and bootstrapping in which no rollout passes."""
        candidates = self.most_candidates(search, config)
        recipe = recipe_of(config).capped(search)
        bootstrapping = recipe.rollouts_at_most(len(train_pool(search)))
        return SearchPlan(
            candidates=candidates,
            metric_calls=candidates * len(search.val) + bootstrapping,
            demos=max(recipe.max_bootstrapped, recipe.max_labelled),
        )


def recipe_of(config: BootstrapRandomSearchConfig) -> Recipe:
    """Return how the demo sets are made."""
    return Recipe(
        sets=FIXED_SETS + config.num_candidate_programs,
        max_bootstrapped=config.max_bootstrapped_demos,
        max_labelled=config.max_labeled_demos,
        threshold=config.metric_threshold,
        stream="bootstrap_random_search",
        max_rounds=config.max_rounds,
    )


def _is_enough(search: Search, config: BootstrapRandomSearchConfig) -> bool:
    wanted = config.stop_at_score
    if wanted is None:
        return False
    best = search.archive.best()
    mean = None if best is None else search.archive.mean(best)
    return mean is not None and mean >= wanted - TIE


def _logged(search: Search, kind: str, entry: Entry, demos: int | None = None) -> None:
    search.log.trial(
        kind,
        entry,
        rows=len(search.val),
        mean=search.archive.mean(entry),
        choice=None if demos is None else {"main.demos": demos},
        note="best" if search.archive.best() is entry else "",
    )
