"""A transport that answers from a function: for tests, never evidence for a promotion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ScriptedTransport:
    """Asks ``answer`` instead of a model and marks every response as scripted.

    Args:
        answer: returns the text, a whole response, or an exception to raise.
        delay: awaited before each answer, for tests that need calls in flight.

    Attributes:
        calls: calls that arrived.
        in_flight, max_in_flight: calls being answered, now and at most.
    """

    def __init__(
        self,
        answer: Callable[[LmRequest], str | LmResponse | Exception],
        *,
        delay: Callable[[LmRequest], Awaitable[None]] | None = None,
    ) -> None:
        self._answer = answer
        self._delay = delay
        self.calls = 0
        self.in_flight = 0
        self.max_in_flight = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        self.calls += 1
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            if self._delay is not None:
                await self._delay(request)
            answer = self._answer(request)
        finally:
            self.in_flight -= 1
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, LmResponse):
            return replace(answer, scripted=True)
        words = sum(len(message.content.split()) for message in request.messages)
        usage = Usage(words, len(answer.split()), 0)
        return LmResponse(answer, served_model=request.identity.model, usage=usage, scripted=True)

    async def aclose(self) -> None:
        """Nothing to close."""
