"""``fewshot_knn.v1``: show each input the demos that are nearest to it (Liu et al. 2022, KATE).

The pool is every train row that ``search_space.few_shot`` leaves, with its label. It is embedded
once; then the base and one policy for each declared number of demos are evaluated on all of val.
What is selected is how many neighbours help, and whether they help at all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, field_validator

from dse_cli.contracts.base import Contract, Items
from dse_cli.contracts.demo_index import make_index
from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.prompt_ir import Demo
from dse_cli.contracts.search_record import DemoSetRecord, ShownDemo
from dse_cli.evaluation.query import Query
from dse_cli.lm.vectors import LARGEST, vector_text
from dse_cli.optimizers.fewshot_greedy_forward import demo_pool
from dse_cli.optimizers.search import Optimizer, SearchPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy

Neighbours = Annotated[int, Field(ge=1, le=64)]


class FewShotKnnConfig(Contract):
    """How many neighbours to try.

    Attributes:
        k: numbers of demos, each a candidate; ``search_space.few_shot.k_max`` alone when absent.
    """

    k: Annotated[Items[Neighbours], Field(min_length=1)] | None = None

    @field_validator("k")
    @classmethod
    def _are_distinct(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if value is not None and len(set(value)) != len(value):
            raise ValueError("a number of demos stands twice")
        return value


class FewShotKnn(Optimizer[FewShotKnnConfig]):
    """The base, then the pool by nearest neighbours, for each number of demos."""

    id: ClassVar[str] = "fewshot_knn.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset({"few_shot"})
    embeds: ClassVar[bool] = True

    async def search(self, search: Search, config: FewShotKnnConfig) -> None:
        """Evaluate base and neighbours."""
        base = await search.try_base()
        search.log.trial("base", base, rows=len(search.val), mean=search.archive.mean(base))
        demos, index = await embed_pool(search)
        if index is None:
            return
        for k in numbers(search, config, len(demos)):
            policy = search.base.selecting(demos, k, index)
            entry = await search.try_policy(policy, f"knn:{k} of {len(demos)}", base)
            mean = search.archive.mean(entry)
            search.log.trial("full", entry, rows=len(search.val), mean=mean, choice={"k": k})

    def most_candidates(self, search: Search, config: FewShotKnnConfig) -> int:
        """Return the base and one candidate for each number of demos."""
        return 1 + len(numbers(search, config, len(demo_pool(search))))

    def plan(self, search: Search, config: FewShotKnnConfig) -> SearchPlan:
        """Return the passes over val, and one embedding for each demo of the pool."""
        candidates = self.most_candidates(search, config)
        cells = candidates * len(search.val)
        return SearchPlan(candidates, cells, queries=len(demo_pool(search)), texts=0)


def numbers(search: Search, config: FewShotKnnConfig, pool: int) -> list[int]:
    """Return the numbers of demos to try, ascending; more than the pool has is all of it."""
    space = search.space.few_shot
    if space is None or not pool:
        return []
    return sorted({min(k, pool) for k in config.k or (space.k_max,)})


def too_many(config: FewShotKnnConfig, k_max: int) -> int | None:
    """Return the place of the first number that the search space does not allow, or None."""
    return next((place for place, k in enumerate(config.k or ()) if k > k_max), None)


async def embed_pool(search: Search) -> tuple[list[Demo], DemoIndex | None]:
    """Embed the pool, as one batch, and return what has a vector with its index.

    A row that an outage left without a vector is left out. The index is None when nothing is left.

    Raises:
        UsageError: the job names no embedder.
        BudgetStopError: the batch does not fit; nothing was embedded.
        InfrastructureError: too many outages.
    """
    if search.embedder is None:
        raise UsageError(
            "there is no model to embed the demos with",
            hint="set models.embedder in the job, for example to lexical-embed",
        )
    pool, queries = pool_questions(search)
    answers = await search.engine.ask(queries, label=f"embed {len(pool)} train rows")
    found = [
        (demo, str(answer.output["vector"]))
        for demo, answer in zip(pool, answers, strict=True)
        if answer.output is not None
    ]
    demos = [demo for demo, _ in found]
    _write_down(search, demos)
    if not found:
        return [], None
    return demos, make_index(search.embedder, demos, [vector for _, vector in found])


def pool_questions(search: Search) -> tuple[list[Demo], list[Query]]:
    """Return the demos of the pool, and for each the question that embeds it."""
    rows = demo_pool(search)
    pool = [_labelled_demo(row.id, row.input, row.expected) for row in rows]
    paths = [f"embed/ex={row.hash[7:19]}" for row in rows]
    return pool, [
        Query(search.base, demo.input, path, embedder=search.embedder)
        for demo, path in zip(pool, paths, strict=True)
    ]


def dearest_neighbours(search: Search) -> Policy | None:
    """Return a policy that costs as much as any that this search tries, for bounds.

    Its vectors are no embeddings: none is needed to know how long the longest demos are.
    """
    pool, _ = pool_questions(search)
    if search.embedder is None or search.space.few_shot is None or not pool:
        return None
    index = make_index(search.embedder, pool, [vector_text((LARGEST,))] * len(pool))
    return search.base.selecting(pool, search.space.few_shot.k_max, index)


def _write_down(search: Search, demos: Sequence[Demo]) -> None:
    """Record the pool; nothing was run for it, it was only embedded."""
    shown = tuple(ShownDemo(source="labelled", id=demo.id) for demo in demos)
    index = len(search.log.demo_sets)
    record = DemoSetRecord(index=index, recipe="pool of neighbours", demos=shown)
    search.log.demo_sets.append(record)


def _labelled_demo(name: str, value: dict[str, object], output: dict[str, object]) -> Demo:
    return Demo(id=name, input=value, output=output, source="labelled")
