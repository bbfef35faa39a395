"""Small helpers of the gateway's tests: requests, time that stands still, layers that fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dse_cli.contracts.errors import ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse, Message, ModelIdentity, Sampling, Usage
from dse_cli.lm.routes import Route, StaticRoutes
from dse_cli.lm.scripted import ScriptedTransport

MODEL = ModelIdentity("openai/tiny")


def ask(
    text: str = "hi",
    path: str = "",
    *,
    identity: ModelIdentity = MODEL,
    rollout: int = 0,
    schema: dict[str, Any] | None = None,
    timeout_s: float | None = None,
    sampling: Sampling = Sampling(temperature=0.0),  # noqa: B008
) -> LmRequest:
    messages = (Message("system", "You answer."), Message("user", text))
    return LmRequest(identity, messages, sampling, schema, rollout, path or f"p/{text}", timeout_s)


def say(
    text: str, tokens: int | None = 5, cost: int | None = 7, *, paid: bool = True
) -> LmResponse:
    return LmResponse(text, "stop", "tiny-1", Usage(tokens, tokens, cost), paid=paid)


def routes(**limits: Any) -> StaticRoutes:
    return StaticRoutes({MODEL: Route("openai/tiny", **limits)})


class FakeTime:
    """A clock that only moves when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class RealTransport:
    """Answers from a function without the mark of a script, as a real model would."""

    def __init__(self, answer: Callable[[LmRequest], LmResponse | Exception]) -> None:
        self._answer = answer
        self.requests: list[LmRequest] = []
        self.closed = False

    async def complete(self, request: LmRequest) -> LmResponse:
        self.requests.append(request)
        await asyncio.sleep(0)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


def failing(times: int, error: ProviderError, text: str = "ok") -> ScriptedTransport:
    """A transport that fails so many times and then answers."""
    left = [error] * times
    return ScriptedTransport(lambda _: left.pop() if left else text)
