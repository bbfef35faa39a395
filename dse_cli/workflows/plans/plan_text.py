"""A plan as lines for a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dse_cli.contracts.lm import NANO
from dse_cli.evaluation.views.words import counted

if TYPE_CHECKING:
    from dse_cli.workflows.plans.plan import Plan


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan for a person."""
    most, expected = plan.most, plan.expected
    yield f"candidates      at most {plan.candidates:,} on {counted(plan.rows, 'row')} of val"
    about = f", {expected.metric_calls:,} expected" if expected else ""
    yield f"metric calls    at most {most.metric_calls:,}{about}"
    about = f"; {expected.lm_calls:,} expected" if expected else ""
    yield f"model calls     at most {most.lm_calls:,}, repairs included{about}"
    if plan.queries:
        about = f", {expected.queries:,} expected" if expected else ""
        most_asked = f"at most {plan.queries:,} to the {plan.asked}"
        yield f"questions       {most_asked}, among the calls{about}"
    if expected and expected.paid_calls < expected.lm_calls:
        saved = expected.lm_calls - expected.paid_calls
        free = f"{saved:,} share a request or are in the cache"
        yield f"to pay          {expected.paid_calls:,} of those expected; {free}"
    about = (
        "" if expected is None or not expected.tokens else f"; about {expected.tokens:,} expected"
    )
    tokens = "unbounded" if most.tokens is None else f"at most {most.tokens:,}"
    yield f"tokens          {tokens}{about}"
    cost = most.cost_nano_usd
    yield f"cost            {'unknown' if cost is None else f'at most ${cost / NANO:.4f}'}"
    yield f"floor           {counted(plan.floor.metric_calls, 'metric call')} for the base alone"
    yield from _budget_lines(plan)


def _budget_lines(plan: Plan) -> Iterator[str]:
    if not plan.covers_floor:
        yield "budget          does not cover the floor: the search cannot start"
    elif plan.stop is not None:
        stop = plan.stop
        where = stop.label
        if stop.evaluation is not None and plan.expected is not None:
            where = f"evaluation {stop.evaluation} of {plan.expected.evaluations} ({stop.label})"
        yield f"budget          {stop.limit}: the search is expected to stop before {where}"
    for shortage in plan.shortages:
        if plan.covers_floor and (plan.stop is None or shortage.limit != plan.stop.limit):
            yield (
                f"budget          {shortage.limit} = {_amount(shortage.allowed)} may end the "
                f"search: at worst {_amount(shortage.needed)}"
            )
    if plan.share_covers is not None and plan.expected is not None:
        asked = plan.expected.queries
        if plan.share_covers < asked:
            covers = f"covers about {plan.share_covers} of the {asked} expected questions"
            yield f"share           of the proposer {covers}; the search goes on without the rest"
    if plan.unrehearsed:
        yield f"expected        not rehearsed: {plan.unrehearsed}"


def _amount(value: float | None) -> str:
    """Return an amount of a limit: whole calls and tokens, or dollars."""
    if value is None:
        return "it is unbounded"
    return f"{value:,.0f}" if value == int(value) else f"{value:.4f}"
