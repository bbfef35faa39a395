from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.errors import BudgetExhaustedError, ProviderError
from dse_cli.contracts.lm import LmResponse
from dse_cli.lm.budget import BudgetLayer, BudgetLimits, UnmeteredUsageError
from dse_cli.lm.meter import Meter
from tests.lm.calls import RealTransport, ask, say


def layers(
    answer: LmResponse | Exception, limits: BudgetLimits
) -> tuple[BudgetLayer, RealTransport, Meter]:
    transport, meter = RealTransport(lambda _: answer), Meter()
    return BudgetLayer(transport, meter, limits), transport, meter


def ask_many(layer: BudgetLayer, count: int) -> list[LmResponse | BaseException]:
    async def go() -> list[LmResponse | BaseException]:
        calls = (layer.complete(ask(str(i))) for i in range(count))
        return await asyncio.gather(*calls, return_exceptions=True)

    return asyncio.run(go())


@given(limit=st.integers(0, 8), count=st.integers(0, 12))
def test_exactly_as_many_calls_are_made_as_allowed_even_at_once(limit: int, count: int) -> None:
    layer, transport, meter = layers(say("x"), BudgetLimits(max_lm_calls=limit))
    results = ask_many(layer, count)
    refused = [result for result in results if isinstance(result, BudgetExhaustedError)]
    assert len(transport.requests) == meter.charged.calls == min(limit, count)
    assert len(refused) == max(0, count - limit)
    assert all((error.budget, error.needed) == ("max_lm_calls", limit + 1) for error in refused)


def test_a_failed_call_gives_its_place_back() -> None:
    layer, transport, meter = layers(ProviderError("down"), BudgetLimits(max_lm_calls=1))
    for _ in range(3):
        (result,) = ask_many(layer, 1)
        assert isinstance(result, ProviderError)
    assert len(transport.requests) == 3
    assert meter.charged.calls == 0


def one_by_one(layer: BudgetLayer, count: int) -> int:
    """Return how many of so many calls, one after the other, were answered."""
    answered = 0
    for number in range(count):
        try:
            asyncio.run(layer.complete(ask(str(number))))
        except BudgetExhaustedError:
            continue
        answered += 1
    return answered


def test_tokens_are_checked_before_the_next_call() -> None:
    layer, transport, meter = layers(say("x", tokens=5), BudgetLimits(max_tokens=25))
    assert one_by_one(layer, 6) == 3
    assert len(transport.requests) == 3
    assert meter.charged.total_tokens == 30


def test_money_is_checked_before_the_next_call() -> None:
    layer, transport, _ = layers(say("x", cost=400), BudgetLimits(max_cost_usd=1e-6))
    assert one_by_one(layer, 6) == 3
    assert len(transport.requests) == 3


def test_free_calls_run_on_a_budget_of_nothing() -> None:
    layer, _, _ = layers(say("x", cost=0), BudgetLimits(max_cost_usd=0.0))
    assert one_by_one(layer, 3) == 3


@pytest.mark.parametrize(
    ("limits", "response", "budget"),
    [
        (BudgetLimits(max_cost_usd=1.0), say("x", cost=None), "max_cost_usd"),
        (BudgetLimits(max_tokens=100), say("x", tokens=None), "max_tokens"),
    ],
)
def test_a_limit_on_unknown_usage_is_refused_at_once(
    limits: BudgetLimits, response: LmResponse, budget: str
) -> None:
    layer, _, meter = layers(response, limits)
    with pytest.raises(UnmeteredUsageError, match="cannot be kept") as caught:
        asyncio.run(layer.complete(ask()))
    assert caught.value.budget == budget
    assert meter.charged.calls == 1


def test_unknown_usage_without_a_limit_on_it_is_fine() -> None:
    layer, _, meter = layers(say("x", tokens=None, cost=None), BudgetLimits(max_lm_calls=9))
    assert one_by_one(layer, 2) == 2
    assert (meter.charged.unknown_tokens, meter.charged.unknown_cost) == (2, 2)
    assert meter.charged.total_tokens == 0


def test_a_hit_is_charged_and_not_paid() -> None:
    meter = Meter()
    meter.record(say("x", tokens=5, cost=7))
    meter.record(say("x", tokens=5, cost=7, paid=False))
    assert meter.cache_hits == 1
    assert meter.charged.to_json() == {
        "calls": 2,
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "cost_nano_usd": 14,
        "unknown_tokens": 0,
        "unknown_cost": 0,
    }
    assert meter.paid.calls == 1
    assert meter.paid.cost_nano_usd == 7


def test_hits_use_up_the_budget_like_fresh_answers() -> None:
    layer, _, meter = layers(say("x", paid=False), BudgetLimits(max_lm_calls=2))
    assert one_by_one(layer, 4) == 2
    assert meter.paid.calls == 0
