"""The demo sets of MIPROv2 and of bootstrapped random search, by their published recipe.

Set 0 shows nothing; set 1 shows labelled rows; set 2 is bootstrapped on the rows as they stand;
each further one on shuffled rows, with a drawn number of bootstrapped demos. Slots that stay free
are filled with labelled rows. Every set draws from a sub-stream of its own, so one set more or less
moves no other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dse_cli.contracts.search_record import DemoSetRecord, ShownDemo
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.demos.bootstrap import (
    DemoSetBuild,
    bootstrap,
    fill,
    labelled_demos,
    teacher_policy,
    train_pool,
    with_demos,
)

if TYPE_CHECKING:
    from random import Random

    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.optimizers.search import Search


@dataclass(frozen=True, slots=True)
class Recipe:
    """How demo sets are made.

    Attributes:
        sets: how many.
        max_bootstrapped: most bootstrapped demos of a set.
        max_labelled: a set is filled with labelled rows up to so many demos; the teacher shows so
            many labelled rows.
        threshold: least reward of an answer that becomes a demo.
        max_rounds: samples of a row before it is given up.
        stream: name of the optimizer, for its sub-streams.
    """

    sets: int
    max_bootstrapped: int
    max_labelled: int
    threshold: float
    stream: str
    max_rounds: int = 1

    def capped(self, search: Search) -> Recipe:
        """Return the recipe within ``few_shot.k_max`` demos a set."""
        space = search.space.few_shot
        if space is None:
            return self
        return Recipe(
            self.sets,
            min(self.max_bootstrapped, space.k_max),
            min(self.max_labelled, space.k_max),
            self.threshold,
            self.stream,
            self.max_rounds,
        )

    def names(self) -> list[str]:
        """Return what each set is, in order."""
        first = ["zero-shot", *(["labelled"] if self.max_labelled else ["shuffled 0"]), "bootstrap"]
        return [*first, *(f"shuffled {index - 2}" for index in range(3, self.sets))][: self.sets]

    def rollouts_at_most(self, pool: int) -> int:
        """Return the most cells that bootstrapping fills, with ``pool`` train rows."""
        if not self.max_bootstrapped:
            return 0
        made = sum(name not in ("zero-shot", "labelled") for name in self.names())
        # Without labelled rows every set has the same teacher, and cells are shared.
        teachers = made if self.max_labelled else min(made, 1)
        return teachers * pool * self.max_rounds


class DemoSet(NamedTuple):
    """Demos that are shown together, and how they were chosen."""

    recipe: str
    demos: tuple[Demo, ...]

    @property
    def bootstrapped(self) -> tuple[Demo, ...]:
        """Those that a policy answered itself."""
        return tuple(demo for demo in self.demos if demo.source == "bootstrapped")


async def make_demo_sets(
    search: Search, recipe: Recipe, indices: Sequence[int] | None = None
) -> list[DemoSet]:
    """Return demo sets of a recipe, each also in ``search.log``.

    Args:
        indices: which of them; all when None. They are bootstrapped side by side.

    Raises:
        BudgetStopError: the next rollouts do not fit.
    """
    recipe = recipe.capped(search)
    names = recipe.names()
    pool = train_pool(search)
    chosen = range(len(names)) if indices is None else indices
    makers = [_Maker.of(search, recipe, names[index], pool) for index in chosen]
    builds = [maker.build for maker in makers if maker.build is not None]
    await bootstrap(search, builds, label="bootstrap")
    sets = [maker.finish(search, recipe) for maker in makers]
    for index, maker, made in zip(chosen, makers, sets, strict=True):
        search.log.demo_sets.append(_record(index, made, maker.build))
    return sets


@dataclass(frozen=True, slots=True)
class _Maker:
    """A set before and after its rollouts."""

    name: str
    rows: Sequence[Row]
    build: DemoSetBuild | None

    @classmethod
    def of(cls, search: Search, recipe: Recipe, name: str, pool: Sequence[Row]) -> _Maker:
        if name in ("zero-shot", "labelled"):
            return cls(name, pool, None)
        rows, wanted = list(pool), recipe.max_bootstrapped
        if name != "bootstrap":
            draw = substream(search.seed, recipe.stream, "demos", name)
            draw.shuffle(rows)
            wanted = draw.randint(min(1, wanted), wanted)
        teacher = teacher_policy(search)
        if recipe.max_labelled:
            shown = labelled_demos(
                teacher, rows, recipe.max_labelled, _labelled_draw(search, recipe)
            )
            teacher = with_demos(teacher, shown)
        return cls(
            name,
            rows,
            DemoSetBuild(teacher, rows, wanted, recipe.threshold, recipe.max_rounds),
        )

    def finish(self, search: Search, recipe: Recipe) -> DemoSet:
        """Return the set, free slots filled."""
        if self.name == "zero-shot":
            return DemoSet(self.name, ())
        if self.build is None:
            draw = _labelled_draw(search, recipe)
            return DemoSet(
                self.name, labelled_demos(search.base, self.rows, recipe.max_labelled, draw)
            )
        draw = substream(search.seed, recipe.stream, "fill", self.name)
        passed = self.build.demos()
        return DemoSet(self.name, fill(search.base, passed, self.rows, recipe.max_labelled, draw))


def _labelled_draw(search: Search, recipe: Recipe) -> Random:
    """Return the one draw of labelled rows, from its start: as published, the same each time."""
    return substream(search.seed, recipe.stream, "labelled")


def _record(index: int, made: DemoSet, build: DemoSetBuild | None) -> DemoSetRecord:
    shown = tuple(
        ShownDemo(
            source="bootstrapped" if demo.source == "bootstrapped" else "labelled", id=demo.id
        )
        for demo in made.demos
    )
    tried, passed = (0, 0) if build is None else (build.tried, len(build.passed))
    return DemoSetRecord(index=index, recipe=made.recipe, demos=shown, tried=tried, passed=passed)
