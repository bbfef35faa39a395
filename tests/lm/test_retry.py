from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.lm import LmRequest
from dse_cli.lm.retry import RetryLayer, jitter
from dse_cli.lm.scripted import ScriptedTransport
from tests.lm.calls import FakeTime, ask, failing, routes

BUSY = ProviderError("busy", status=503, retryable=True)


def test_a_retryable_failure_is_repeated_until_it_works() -> None:
    time = FakeTime()
    transport = failing(3, BUSY)
    layer = RetryLayer(transport, 1, routes(max_retries=3).limits, sleep=time.sleep)
    assert asyncio.run(layer.complete(ask())).text == "ok"
    assert transport.calls == 4
    assert layer.retries == 3


def test_the_last_error_is_raised_when_retries_run_out() -> None:
    transport = failing(9, BUSY)
    layer = RetryLayer(transport, 1, routes(max_retries=2).limits, sleep=FakeTime().sleep)
    with pytest.raises(ProviderError, match="busy"):
        asyncio.run(layer.complete(ask()))
    assert transport.calls == 3


def test_a_final_failure_is_not_repeated() -> None:
    transport = failing(1, ProviderError("wrong", status=400))
    layer = RetryLayer(transport, 1, routes().limits, sleep=FakeTime().sleep)
    with pytest.raises(ProviderError, match="wrong"):
        asyncio.run(layer.complete(ask()))
    assert transport.calls == 1


def waits(seed: int, request: LmRequest) -> list[float]:
    time = FakeTime()
    layer = RetryLayer(failing(3, BUSY), seed, routes().limits, sleep=time.sleep)
    asyncio.run(layer.complete(request))
    return time.slept


def test_waits_are_a_function_of_seed_and_request() -> None:
    assert waits(1, ask()) == waits(1, ask())
    assert waits(1, ask()) != waits(2, ask())
    assert waits(1, ask("a")) != waits(1, ask("b"))


def test_waits_grow_exponentially_within_their_jitter() -> None:
    for wait, full in zip(waits(7, ask()), [0.5, 1.0, 2.0], strict=True):
        assert full / 2 <= wait < full


def test_waits_are_capped() -> None:
    time = FakeTime()
    limits = routes(max_retries=12).limits
    layer = RetryLayer(failing(12, BUSY), 1, limits, sleep=time.sleep, cap_s=4.0)
    asyncio.run(layer.complete(ask()))
    assert 2.0 <= max(time.slept) < 4.0


def test_retry_after_is_waited_for() -> None:
    time = FakeTime()
    error = ProviderError("slow down", status=429, retryable=True, retry_after_s=17.0)
    layer = RetryLayer(failing(1, error), 1, routes().limits, sleep=time.sleep)
    asyncio.run(layer.complete(ask()))
    assert time.slept == [17.0]


def test_a_retry_after_of_an_hour_ends_the_call_at_once() -> None:
    time = FakeTime()
    error = ProviderError("slow down", status=429, retryable=True, retry_after_s=3600.0)
    layer = RetryLayer(failing(1, error), 1, routes().limits, sleep=time.sleep)
    with pytest.raises(ProviderError) as caught:
        asyncio.run(layer.complete(ask()))
    assert caught.value.status == 429
    assert caught.value.hint == "the server asks to come back in 3600 s"
    assert time.slept == []


async def _forever(_: LmRequest) -> None:
    await asyncio.Event().wait()


def test_an_attempt_that_hangs_is_cancelled_and_repeated() -> None:
    transport = ScriptedTransport(lambda _: "late", delay=_forever)
    limits = routes(timeout_s=0.01, max_retries=2).limits
    layer = RetryLayer(transport, 1, limits, sleep=FakeTime().sleep)
    with pytest.raises(CallTimeoutError) as caught:
        asyncio.run(layer.complete(ask()))
    assert caught.value.retryable
    assert transport.calls == 3
    assert transport.in_flight == 0


def test_the_limit_of_a_request_bounds_all_its_attempts() -> None:
    transport = ScriptedTransport(lambda _: "late", delay=_forever)
    layer = RetryLayer(transport, 1, routes(timeout_s=60).limits, sleep=FakeTime().sleep)
    with pytest.raises(CallTimeoutError) as caught:
        asyncio.run(layer.complete(ask(timeout_s=0.01)))
    assert not caught.value.retryable
    assert transport.calls == 1


def test_a_timeout_of_somebody_above_is_not_taken_for_ours() -> None:
    transport = ScriptedTransport(lambda _: "late", delay=_forever)
    layer = RetryLayer(transport, 1, routes().limits, sleep=FakeTime().sleep)

    async def go() -> None:
        async with asyncio.timeout(0.01):
            await layer.complete(ask())

    with pytest.raises(TimeoutError):
        asyncio.run(go())
    assert transport.calls == 1


def test_each_retry_asks_the_rate_limits_again() -> None:
    admitted: list[str] = []

    async def admit(request: LmRequest) -> None:
        admitted.append(request.path)

    limits = routes().limits
    layer = RetryLayer(failing(2, BUSY), 1, limits, sleep=FakeTime().sleep, admit=admit)
    asyncio.run(layer.complete(ask(path="p")))
    assert admitted == ["p", "p"]


def test_jitter_is_in_its_range() -> None:
    values = [jitter(1, "k", attempt) for attempt in range(200)]
    assert all(0.5 <= value < 1.0 for value in values)
    assert len(set(values)) == 200
