from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.single_flight import SingleFlightLayer
from tests.lm.calls import ask, say


class Gated:
    """A layer that answers when it is let, and remembers what was cancelled."""

    def __init__(self, answer: LmResponse | Exception | None = None) -> None:
        self.answer = answer or say("x")
        self.gate = asyncio.Event()
        self.requests: list[LmRequest] = []
        self.cancelled = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        self.requests.append(request)
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def aclose(self) -> None:
        pass


def start(layer: SingleFlightLayer, *requests: LmRequest) -> list[asyncio.Task[LmResponse]]:
    return [asyncio.ensure_future(layer.complete(request)) for request in requests]


def test_identical_calls_in_flight_are_one_call_and_paid_once() -> None:
    async def go() -> None:
        inner = Gated()
        layer = SingleFlightLayer(inner)
        tasks = start(layer, *(ask("q", f"path/{i}") for i in range(5)), ask("other"))
        await asyncio.sleep(0)
        inner.gate.set()
        responses = await asyncio.gather(*tasks)
        assert [request.path for request in inner.requests] == ["path/0", "p/other"]
        assert all(response == say("x") for response in responses)
        assert [response.paid for response in responses] == [True, False, False, False, False, True]

    asyncio.run(go())


def test_a_later_call_is_a_call_of_its_own() -> None:
    async def go() -> None:
        inner = Gated()
        inner.gate.set()
        layer = SingleFlightLayer(inner)
        await layer.complete(ask("q"))
        await layer.complete(ask("q"))
        assert len(inner.requests) == 2

    asyncio.run(go())


def test_a_cancelled_leader_leaves_its_followers_alone() -> None:
    async def go() -> None:
        inner = Gated()
        layer = SingleFlightLayer(inner)
        leader, follower = start(layer, ask("q", "a"), ask("q", "b"))
        await asyncio.sleep(0)
        leader.cancel()
        await asyncio.sleep(0)
        inner.gate.set()
        assert (await follower).text == "x"
        assert (await follower).paid
        with pytest.raises(asyncio.CancelledError):
            await leader
        assert inner.cancelled == 0

    asyncio.run(go())


def test_the_call_ends_when_everybody_who_waited_is_gone() -> None:
    async def go() -> None:
        inner = Gated()
        layer = SingleFlightLayer(inner)
        tasks = start(layer, ask("q", "a"), ask("q", "b"))
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await layer.aclose()
        assert inner.cancelled == 1
        inner.gate.set()
        assert (await layer.complete(ask("q"))).text == "x"

    asyncio.run(go())


def test_an_error_is_everybodys_error_and_is_not_kept() -> None:
    async def go() -> None:
        inner = Gated(ProviderError("down"))
        layer = SingleFlightLayer(inner)
        tasks = start(layer, ask("q", "a"), ask("q", "b"))
        await asyncio.sleep(0)
        inner.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(result) for result in results] == ["down", "down"]
        inner.answer = say("up")
        assert (await layer.complete(ask("q"))).text == "up"

    asyncio.run(go())


def test_another_time_limit_is_another_flight() -> None:
    async def go() -> None:
        inner = Gated()
        layer = SingleFlightLayer(inner)
        tasks = start(layer, ask("q", timeout_s=1), ask("q", timeout_s=20))
        await asyncio.sleep(0)
        inner.gate.set()
        await asyncio.gather(*tasks)
        assert len(inner.requests) == 2

    asyncio.run(go())
