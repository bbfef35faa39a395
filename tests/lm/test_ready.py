from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
from dse_cli.lm.gateway import build_gateway
from dse_cli.lm.ready import ReadyLayer
from dse_cli.lm.routes import CallLimits, Route
from tests.lm.calls import RealTransport, ask, say
from tests.lm.openai_server import OpenAiServer


def test_many_calls_prepare_once_for_each_model() -> None:
    prepared: list[str] = []

    async def prepare(request: LmRequest) -> None:
        prepared.append(request.identity.model)
        await asyncio.sleep(0)

    layer = ReadyLayer(RealTransport(lambda _: say("x")), prepare)
    other = ModelIdentity("openai/other")

    async def go() -> None:
        calls = [layer.complete(ask(str(i))) for i in range(5)]
        await asyncio.gather(*calls, layer.complete(ask(identity=other)))

    asyncio.run(go())
    assert sorted(prepared) == ["openai/other", "openai/tiny"]


def test_a_failed_preparation_is_tried_again_by_the_next_call() -> None:
    errors: list[Exception] = [ModelUnavailableError("no weights")]
    transport = RealTransport(lambda _: say("x"))

    async def prepare(_: LmRequest) -> None:
        if errors:
            raise errors.pop()

    layer = ReadyLayer(transport, prepare)
    with pytest.raises(ModelUnavailableError):
        asyncio.run(layer.complete(ask()))
    assert not transport.requests
    assert asyncio.run(layer.complete(ask())).text == "x"


class SlowStart:
    """Routes to a server that takes longer to start than a call may take."""

    def __init__(self, route: Route) -> None:
        self._route = route
        self._started = False

    async def route(self, _: ModelIdentity) -> Route:
        if not self._started:
            await asyncio.sleep(1.5)
            self._started = True
        return self._route

    def limits(self, _: ModelIdentity) -> CallLimits:
        return self._route


def test_starting_a_server_does_not_count_into_the_time_of_a_call(server: OpenAiServer) -> None:
    routes = SlowStart(Route("openai/tiny", server.base, "k", timeout_s=1.2, max_retries=0))

    async def go() -> LmResponse:
        gateway = build_gateway(routes, seed=1)
        try:
            return await gateway.complete(ask(timeout_s=1.2))
        finally:
            await gateway.aclose()

    assert asyncio.run(go()).text == "hello"
