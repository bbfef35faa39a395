"""Single-flight: identical calls that are in flight together are one call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.lm.layer import Layer


@dataclass(slots=True, eq=False)
class _Flight:
    task: asyncio.Task[LmResponse]
    waiters: int = 0
    paid_given: bool = False


class SingleFlightLayer:
    """Shares one inner call among all requests with its key that arrive while it runs.

    The call belongs to no caller: it is cancelled when its last waiter is gone, and not before. Its
    error is everybody's error. ``paid`` is true for one waiter only. Calls with another time limit
    are not shared, because a short limit would cut off a longer one.
    """

    def __init__(self, inner: Layer) -> None:
        self._inner = inner
        self._flights: dict[tuple[str, float | None], _Flight] = {}
        self._ending: set[asyncio.Task[LmResponse]] = set()

    async def complete(self, request: LmRequest) -> LmResponse:
        key = (request.key, request.timeout_s)
        flight = self._flights.get(key)
        if flight is None:
            flight = _Flight(asyncio.ensure_future(self._inner.complete(request)))
            self._flights[key] = flight
        flight.waiters += 1
        try:
            response = await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.task.done() or not flight.waiters:
                self._end(key, flight)
        if flight.paid_given and response.paid:
            return replace(response, paid=False)
        flight.paid_given = True
        return response

    async def aclose(self) -> None:
        for task in list(self._ending):
            task.cancel()
        await asyncio.gather(*self._ending, return_exceptions=True)
        await self._inner.aclose()

    def _end(self, key: tuple[str, float | None], flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.task.done():  # everybody who waited was cancelled
            flight.task.cancel()
            self._ending.add(flight.task)  # the loop holds tasks weakly
            flight.task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[LmResponse]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()  # nobody is left to be told
