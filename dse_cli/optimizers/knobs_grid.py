"""``knobs_grid.v1``: every combination of the knobs, or a fair share of them when capped.

When the product is larger than ``max_candidates``, combinations are drawn by Latin hypercube rounds
(McKay, Beckman and Conover 1979): in each round every value of every knob is used as often as every
other, up to one. Cutting the product off at the cap would leave late values of early knobs untried.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from pydantic import Field, ValidationError

from dse_cli.canonical import canonical_text
from dse_cli.contracts.base import Contract
from dse_cli.contracts.params import merge
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.demos.labelled_demos import labelled_set
from dse_cli.optimizers.fewshot_greedy_forward import demo_json
from dse_cli.optimizers.instruction_grid import scheduled_plan
from dse_cli.optimizers.scheduling.checks import scheduler_problems
from dse_cli.optimizers.scheduling.rank import Proposed, rank
from dse_cli.optimizers.scheduling.settings import SchedulerSpec
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem
from dse_cli.project.explain import said

if TYPE_CHECKING:
    from dse_cli.contracts.job import SearchSpace
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy

Choice = tuple[tuple[str, Any], ...]


#: Knobs that have "as authored" among their values, written as None.
AS_AUTHORED = frozenset({"instruction.text", "few_shot.examples"})


class KnobProblem(NamedTuple):
    """A value that cannot be searched: the knob, which value from 0, and one sentence."""

    path: str
    position: int
    message: str


class KnobsGridConfig(Contract):
    """Settings.

    Attributes:
        max_candidates: most combinations evaluated, the base not counted.
        scheduler: how the combinations share the rows of val; each on all of them when absent.
    """

    max_candidates: Annotated[int, Field(ge=1, le=500)] = 128
    scheduler: SchedulerSpec | None = None


class KnobsGrid(Optimizer[KnobsGridConfig]):
    """A grid over knobs, instruction variants, and with or without a labelled demo set."""

    id: ClassVar[str] = "knobs_grid.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"knobs", "instructions", "few_shot"})

    async def search(self, search: Search, config: KnobsGridConfig) -> None:
        """Evaluate the base, then the combinations."""
        base = await search.try_base()
        await rank(search, combinations(search, config.max_candidates, base), config.scheduler)

    def most_candidates(self, search: Search, config: KnobsGridConfig) -> int:
        """Return the base and the combinations."""
        size = math.prod(len(values) for _, values in axes(search))
        return 1 + min(size, config.max_candidates)

    def plan(self, search: Search, config: KnobsGridConfig) -> SearchPlan:
        """Return the grid, and what its scheduler may need."""
        return scheduled_plan(search, self.most_candidates(search, config), config.scheduler)

    def problems(
        self, config: KnobsGridConfig, *, train: int, val: int
    ) -> Sequence[SettingProblem]:
        """Refuse a scheduler without an effect."""
        return scheduler_problems(config.scheduler, val)


def combinations(search: Search, cap: int, base: Entry) -> list[Proposed]:
    """Return at most ``cap`` combinations of the search space as policies."""
    found = []
    for choice in choices(axes(search), cap, search.seed):
        patch: dict[str, Any] = {}
        for path, value in choice:
            patch = merge(patch, patch_of(path, value))
        found.append(Proposed(search.base.patched(patch), _origin(search, choice), base))
    return found


def axes(search: Search) -> list[tuple[str, list[Any]]]:
    """Return each knob with its values, in the order of the knobs' names.

    Instruction variants are a knob too, and so is the labelled demo set of ``few_shot.k_max`` rows;
    there "as authored" is a value, written as None.
    """
    found: list[tuple[str, list[Any]]] = [
        (path, _distinct(values)) for path, values in sorted(search.space.knobs.items())
    ]
    if search.space.instructions:
        variants = sorted(search.space.instructions, key=lambda variant: variant.id)
        found.append(("instruction.text", [None, *(variant.text for variant in variants)]))
    if search.space.few_shot is not None:
        demos = [demo_json(row) for row in labelled_set(search)]
        found.append(("few_shot.examples", [None, demos]))
    return found


def choices(knobs: list[tuple[str, list[Any]]], cap: int, seed: int) -> Iterator[Choice]:
    """Yield at most ``cap`` distinct combinations: all of them, or fair rounds of them."""
    if not knobs:
        return
    size = math.prod(len(values) for _, values in knobs)
    names = [name for name, _ in knobs]
    if size <= cap:
        for values in itertools.product(*(values for _, values in knobs)):
            yield tuple(zip(names, values, strict=True))
        return
    seen: set[str] = set()
    for turn in itertools.count():
        for choice in _latin_round(knobs, cap, seed, turn):
            key = canonical_text([list(pair) for pair in choice])
            if key not in seen:
                seen.add(key)
                yield choice
                if len(seen) == cap:
                    return


def _latin_round(
    knobs: list[tuple[str, list[Any]]], count: int, seed: int, turn: int
) -> list[Choice]:
    columns: list[list[tuple[str, Any]]] = []
    for name, values in knobs:
        draw = substream(seed, "knobs_grid", str(turn), name)
        # Shuffled before and after: which values are used once more, or at all, is drawn too.
        order = draw.sample(values, len(values))
        column = [(name, order[index % len(order)]) for index in range(count)]
        draw.shuffle(column)
        columns.append(column)
    return [tuple(choice) for choice in zip(*columns, strict=True)]


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return the values without repetitions; 0 and 0.0 are one value."""
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(canonical_text(value), value)
    return list(found.values())


def knob_problems(base: Policy, space: SearchSpace) -> list[KnobProblem]:
    """Return which values of the knobs no policy can have, or have no effect."""
    problems: list[KnobProblem] = []
    for path, values in sorted(space.knobs.items()):
        known: dict[str, int] = {}
        for index, value in enumerate(values):
            message = _knob_problem(base, path, value, known, index)
            if message is not None:
                problems.append(KnobProblem(path, index, message))
    return problems


def _knob_problem(
    base: Policy, path: str, value: Any, known: dict[str, int], index: int
) -> str | None:
    try:
        policy = base.patched(patch_of(path, value))
    except ValidationError as error:
        return f"{path}: {said(error.errors()[0])}"
    if policy.model("main").model is None:
        return f"{path}: a policy needs a model"
    first = known.setdefault(policy.id, index)
    return None if first == index else f"{path}: the same policy as value {first + 1} of this knob"


def patch_of(path: str, value: Any) -> dict[str, Any]:
    """Return the patch of the params that sets one knob."""
    if value is None and path in AS_AUTHORED:
        return {}
    nested: Any = value
    for key in reversed(path.split(".")):
        nested = {key: nested}
    return dict(nested)


def _origin(search: Search, choice: Choice) -> str:
    """Return how a combination was made: a variant by its id, a demo set by its size."""
    ids = {variant.text: variant.id for variant in search.space.instructions}
    words = []
    for path, value in choice:
        if value is None and path in AS_AUTHORED:
            word = "authored"
        elif path == "instruction.text":
            word = ids[value]
        else:
            word = f"{len(value)} demos" if isinstance(value, list) else str(value)
        words.append(f"{path}={word}")
    return "knobs:" + ",".join(words)
