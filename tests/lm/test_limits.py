from __future__ import annotations

import asyncio

from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.limits import LimitsLayer, guess_tokens
from dse_cli.lm.scripted import ScriptedTransport
from tests.lm.calls import FakeTime, RealTransport, ask, routes, say


async def _yield(_: LmRequest) -> None:
    for _step in range(3):
        await asyncio.sleep(0)


def starts_of(count: int, time: FakeTime, layer: LimitsLayer, starts: list[float]) -> None:
    async def go() -> None:
        await asyncio.gather(*(layer.complete(ask(str(i))) for i in range(count)))

    asyncio.run(go())
    assert len(starts) == count


def test_no_more_calls_are_in_flight_than_allowed() -> None:
    transport = ScriptedTransport(lambda _: "x", delay=_yield)
    layer = LimitsLayer(transport, routes(concurrency=3).limits)

    async def go() -> None:
        await asyncio.gather(*(layer.complete(ask(str(i))) for i in range(20)))

    asyncio.run(go())
    assert transport.calls == 20
    assert transport.max_in_flight == 3


def test_no_window_of_a_minute_holds_more_requests_than_allowed() -> None:
    time = FakeTime()
    starts: list[float] = []

    def answer(_: LmRequest) -> str:
        starts.append(time.now)
        return "x"

    layer = LimitsLayer(
        ScriptedTransport(answer),
        routes(requests_per_minute=5).limits,
        clock=time.clock,
        sleep=time.sleep,
    )
    starts_of(17, time, layer, starts)
    assert starts == sorted(starts)
    for start in starts:
        assert sum(start <= other < start + 60 for other in starts) <= 5
    assert starts[-1] == 180.0


def test_tokens_per_minute_are_corrected_by_what_was_used() -> None:
    time = FakeTime()
    starts: list[float] = []
    guess = guess_tokens(ask("0"))

    def answer(_: LmRequest) -> LmResponse:
        starts.append(time.now)
        return say("x", tokens=5)  # ten in all, far fewer than guessed

    limits = routes(tokens_per_minute=2 * guess, concurrency=1).limits
    layer = LimitsLayer(RealTransport(answer), limits, clock=time.clock, sleep=time.sleep)
    starts_of(12, time, layer, starts)
    assert starts == [0.0] * 12


def test_unknown_usage_keeps_the_guess() -> None:
    time = FakeTime()
    starts: list[float] = []
    guess = guess_tokens(ask("0"))

    def answer(_: LmRequest) -> LmResponse:
        starts.append(time.now)
        return say("x", tokens=None)

    limits = routes(tokens_per_minute=2 * guess, concurrency=1).limits
    layer = LimitsLayer(RealTransport(answer), limits, clock=time.clock, sleep=time.sleep)
    starts_of(4, time, layer, starts)
    assert starts == [0.0, 0.0, 60.0, 60.0]


def test_a_call_larger_than_the_limit_is_let_through_alone() -> None:
    time = FakeTime()
    starts: list[float] = []

    def answer(_: LmRequest) -> LmResponse:
        starts.append(time.now)
        return say("x", tokens=1000)

    limits = routes(tokens_per_minute=10, concurrency=1).limits
    layer = LimitsLayer(RealTransport(answer), limits, clock=time.clock, sleep=time.sleep)
    starts_of(3, time, layer, starts)
    assert starts == [0.0, 60.0, 120.0]


def test_a_cancelled_waiter_gives_its_place_to_the_next() -> None:
    async def go() -> None:
        gate = asyncio.Event()

        async def wait(_: LmRequest) -> None:
            await gate.wait()

        transport = ScriptedTransport(lambda _: "x", delay=wait)
        layer = LimitsLayer(transport, routes(concurrency=1).limits)
        first, second, third = (
            asyncio.ensure_future(layer.complete(ask(name))) for name in ("a", "b", "c")
        )
        await asyncio.sleep(0)
        second.cancel()
        gate.set()
        assert (await first).text == "x"
        assert (await third).text == "x"
        assert transport.calls == 2

    asyncio.run(go())
