from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.lm import LmRequest, ModelIdentity
from dse_cli.lm.circuit import CircuitLayer
from dse_cli.lm.scripted import ScriptedTransport
from tests.lm.calls import FakeTime, ask

DOWN = ProviderError("down", status=503, retryable=True)


class Endpoint:
    """An endpoint that is up or down."""

    def __init__(self) -> None:
        self.error: ProviderError | None = DOWN
        self.transport = ScriptedTransport(lambda _: self.error or "ok")
        self.time = FakeTime()
        self.layer = CircuitLayer(self.transport, failures=3, cool_down_s=10, clock=self.time.clock)

    async def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(ProviderError, match="down"):
                await self.layer.complete(ask())


def test_it_opens_after_failures_in_a_row_and_then_asks_nobody() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        await endpoint.fail(3)
        with pytest.raises(ProviderError, match="not asked, the last 3 calls failed"):
            await endpoint.layer.complete(ask())
        assert endpoint.transport.calls == 3

    asyncio.run(go())


def test_after_the_cool_down_one_probe_closes_it() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        await endpoint.fail(3)
        endpoint.error = None
        endpoint.time.now += 10
        assert (await endpoint.layer.complete(ask())).text == "ok"
        assert (await endpoint.layer.complete(ask())).text == "ok"

    asyncio.run(go())


def test_a_failed_probe_opens_it_again() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        await endpoint.fail(3)
        endpoint.time.now += 10
        await endpoint.fail(1)
        endpoint.time.now += 9.9
        with pytest.raises(ProviderError, match="not asked"):
            await endpoint.layer.complete(ask())

    asyncio.run(go())


def test_only_one_call_is_the_probe_and_a_cancelled_probe_lets_the_next_try() -> None:
    async def go() -> None:
        gate = asyncio.Event()

        async def wait(request: LmRequest) -> None:
            if request.path == "slow":
                await gate.wait()

        endpoint = Endpoint()
        await endpoint.fail(3)
        endpoint.error = None
        endpoint.time.now += 10
        endpoint.transport._delay = wait
        probe = asyncio.ensure_future(endpoint.layer.complete(ask(path="slow")))
        await asyncio.sleep(0)
        with pytest.raises(ProviderError, match="not asked"):
            await endpoint.layer.complete(ask())
        probe.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probe
        assert (await endpoint.layer.complete(ask())).text == "ok"

    asyncio.run(go())


def test_a_refused_request_shows_that_the_endpoint_is_alive() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        await endpoint.fail(2)
        endpoint.error = ProviderError("bad request", status=400)
        with pytest.raises(ProviderError, match="bad request"):
            await endpoint.layer.complete(ask())
        endpoint.error = DOWN
        await endpoint.fail(2)
        assert endpoint.transport.calls == 5

    asyncio.run(go())


def test_each_model_has_its_own_circuit() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        await endpoint.fail(3)
        endpoint.error = None
        other = ask(identity=ModelIdentity("openai/other"))
        assert (await endpoint.layer.complete(other)).text == "ok"

    asyncio.run(go())


def test_a_call_cut_off_by_its_own_limit_says_nothing_about_the_endpoint() -> None:
    async def go() -> None:
        endpoint = Endpoint()
        endpoint.error = CallTimeoutError("too slow for this policy")
        for _ in range(9):
            with pytest.raises(CallTimeoutError):
                await endpoint.layer.complete(ask())
        endpoint.error = DOWN
        await endpoint.fail(2)
        endpoint.error = CallTimeoutError("too slow for this policy")
        with pytest.raises(CallTimeoutError):
            await endpoint.layer.complete(ask())
        endpoint.error = DOWN
        await endpoint.fail(1)
        with pytest.raises(ProviderError, match="not asked"):
            await endpoint.layer.complete(ask())

    asyncio.run(go())
