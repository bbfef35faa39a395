"""Getting ready: what the first call to a model needs once, before any limit starts to count.

The embedded model's weights may have to be fetched and its server started, and importing LiteLLM
takes seconds; inside the timeout of a call, that would cut off the first calls of every run.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
    from dse_cli.lm.layer import Layer


class ReadyLayer:
    """Awaits ``prepare`` before the first call to each model; calls meanwhile wait for it.

    A preparation that fails is tried again by the next call.
    """

    def __init__(self, inner: Layer, prepare: Callable[[LmRequest], Awaitable[None]]) -> None:
        self._inner = inner
        self._prepare = prepare
        self._ready: set[ModelIdentity] = set()
        self._turns: dict[ModelIdentity, asyncio.Lock] = {}

    async def complete(self, request: LmRequest) -> LmResponse:
        identity = request.identity
        if identity not in self._ready:
            async with self._turns.setdefault(identity, asyncio.Lock()):
                if identity not in self._ready:
                    await self._prepare(request)
                    self._ready.add(identity)
        return await self._inner.complete(request)

    async def aclose(self) -> None:
        await self._inner.aclose()
