"""What a search cannot exceed: every cell at its dearest, every text as long as it may be."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.lm import NANO
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.demos.bootstrap import teacher_policy
from dse_cli.optimizers.fewshot_knn import dearest_neighbours, pool_questions
from dse_cli.workflows.plans.dearest import dearest_policy, unbounded
from dse_cli.workflows.plans.made_up import made_up

if TYPE_CHECKING:
    from dse_cli.contracts.job import CompileBudget
    from dse_cli.optimizers.search import Search, SearchPlan
    from dse_cli.workflows.plans.rehearsal import Rehearsed

#: Bytes of a long question: the task, some rows and some attempts, each shortened (grounding.py).
LONG_QUESTION: Final = 24_000


def whole_bound(search: Search, most: SearchPlan, longest: Rehearsed | None) -> Bound:
    """Return the bound of a search without a budget.

    Args:
        longest: a rehearsal with texts as long as they may be, where there was one.
    """
    engine = search.engine
    dearest = _dearest(search, most, longest)
    if _in_passes(search, most):
        rows = [_largest([engine.bound(one, row) for one in dearest]) for row in search.val]
        return _times(sum(rows, Bound()), most.candidates)
    cells = [(one, row) for one in dearest for row in (*search.val, *search.train)]
    whole = _times(_largest([engine.bound(one, row) for one, row in cells]), most.metric_calls)
    if most.queries:
        asked = [*_usual_questions(search), *([] if longest is None else longest.questions)]
        whole += _times(_largest([engine.query_bound(query) for query in asked]), most.queries)
    if unbounded(search, most):
        whole = Bound(whole.metric_calls, whole.lm_calls, None, None)
    return whole


def _in_passes(search: Search, most: SearchPlan) -> bool:
    """Tell whether all that a search does is to evaluate candidates on all selecting rows."""
    return most.metric_calls == most.candidates * len(search.val) and not most.queries


def _usual_questions(search: Search) -> Iterator[Query]:
    """Yield the questions of a search that no rehearsal is needed for.

    Those to the embedder are known; to each meta-signature a long one stands for all of them.
    """
    if search.embedder is not None:
        yield from pool_questions(search)[1]
    for name, policy in sorted(search.meta.items()):
        value = made_up(policy.signature.input_schema, name, LONG_QUESTION)
        yield Query(policy, value, f"plan/{name}")


def _dearest(search: Search, most: SearchPlan, longest: Rehearsed | None) -> list[Candidate]:
    """Return what is dearest in calls, in tokens or in money.

    That is the base with the dearest value of each part, the teacher, the policy of neighbours
    with the longest demos, or a candidate that a rehearsal with long texts made.
    """
    made = [dearest_policy(search, most)]
    if search.teacher is not None:
        made.append(teacher_policy(search))
    neighbours = dearest_neighbours(search)
    if neighbours is not None:
        made.append(neighbours)
    if longest is not None:
        made += [entry.candidate.main for entry in longest.search.archive]
    bounds = [(search.engine.bound(one, search.val[0]), one) for one in map(Candidate.of, made)]
    top = (
        max(bounds, key=lambda found: found[0].lm_calls),
        max(bounds, key=lambda found: _or_more(found[0].tokens)),
        max(bounds, key=lambda found: _or_more(found[0].cost_nano_usd)),
    )
    return list({candidate.id: candidate for _, candidate in top}.values())


def _or_more(value: int | None) -> float:
    return math.inf if value is None else value


def _largest(bounds: Sequence[Bound]) -> Bound:
    """Return the most of each quantity over some bounds; one that is unbounded stays so."""

    def most(values: list[int | None]) -> int | None:
        known = [value for value in values if value is not None]
        return max(known, default=0) if len(known) == len(values) else None

    return Bound(
        max((bound.metric_calls for bound in bounds), default=0),
        max((bound.lm_calls for bound in bounds), default=0),
        most([bound.tokens for bound in bounds]),
        most([bound.cost_nano_usd for bound in bounds]),
    )


def _times(bound: Bound, count: int) -> Bound:
    def many(value: int | None) -> int | None:
        return None if value is None else value * count

    return Bound(
        bound.metric_calls * count,
        bound.lm_calls * count,
        many(bound.tokens),
        many(bound.cost_nano_usd),
    )


def bound_within(limits: CompileBudget, search: Search, most: SearchPlan, whole: Bound) -> Bound:
    """Return the part of a bound that the budget lets happen."""
    cap = limits.max_metric_calls
    if cap is not None and cap < whole.metric_calls:
        rows = len(search.val)
        # Where every batch is a pass over val, the last one that fits is a whole one.
        cap = cap // rows * rows if _in_passes(search, most) else cap
        # Calls per cell are the same everywhere in a pass; where questions are asked, they are not.
        whole = (
            _cells_of(whole, cap) if _in_passes(search, most) else replace(whole, metric_calls=cap)
        )
    cost = None if limits.max_cost_usd is None else round(limits.max_cost_usd * NANO)
    return Bound(
        whole.metric_calls,
        _least(whole.lm_calls, limits.max_lm_calls) or 0,
        _least(whole.tokens, limits.max_tokens),
        _least(whole.cost_nano_usd, cost),
    )


def _cells_of(whole: Bound, metric_calls: int) -> Bound:
    """Return the bound of so many cells of a whole that is made of equal passes."""

    def part(value: int | None) -> int | None:
        return None if value is None else value * metric_calls // whole.metric_calls

    return Bound(
        metric_calls,
        whole.lm_calls * metric_calls // whole.metric_calls,
        part(whole.tokens),
        part(whole.cost_nano_usd),
    )


def _least(value: int | None, limit: int | None) -> int | None:
    known = [number for number in (value, limit) if number is not None]
    return min(known) if known else None
