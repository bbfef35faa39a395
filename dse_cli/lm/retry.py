"""Retries, timeouts and backoff. Transport retries are not calls: nothing above sees them."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import CallTimeoutError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
    from dse_cli.lm.layer import Layer
    from dse_cli.lm.routes import CallLimits


class RetryLayer:
    """Repeats calls that may succeed later.

    Waits are exponential with jitter, and the jitter is a function of (seed, request key, attempt);
    a ``Retry-After`` of the server wins over a shorter wait of ours.

    Args:
        inner: the layer below, asked once per attempt.
        seed: of the run.
        limits: timeout and retries of a model.
        admit: awaited before each further attempt, so that retries obey rate limits too.
        base_s, cap_s: first and longest wait of our own.
        longest_wait_s: if the server asks for more than this, give up now and say so.
        clock: monotonic seconds, for the latency of the attempt that is answered.

    Attributes:
        retries: attempts after the first, so far; for ``run.json``.
    """

    def __init__(
        self,
        inner: Layer,
        seed: int,
        limits: Callable[[ModelIdentity], CallLimits],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        admit: Callable[[LmRequest], Awaitable[None]] | None = None,
        base_s: float = 0.5,
        cap_s: float = 30.0,
        longest_wait_s: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._seed = seed
        self._limits = limits
        self._sleep = sleep
        self._admit = admit
        self._base_s = base_s
        self._cap_s = cap_s
        self._longest_wait_s = longest_wait_s
        self._clock = clock
        self.retries = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        """Answer a call, within ``request.timeout_s`` over all attempts and waits."""
        try:
            async with asyncio.timeout(request.timeout_s) as whole:
                return await self._attempts(request)
        except TimeoutError:
            if not whole.expired():
                raise
            raise CallTimeoutError(
                f"{request.identity.model}: no answer within {request.timeout_s:g} s"
            ) from None

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def _attempts(self, request: LmRequest) -> LmResponse:
        limits = self._limits(request.identity)
        attempt = 0
        while True:
            try:
                return await self._once(request, limits.timeout_s)
            except ProviderError as error:
                if not error.retryable or attempt >= limits.max_retries:
                    raise
                wait_s = self._wait_s(request, attempt, error)
            attempt += 1
            self.retries += 1
            await self._sleep(wait_s)
            if self._admit is not None:
                await self._admit(request)

    async def _once(self, request: LmRequest, timeout_s: float) -> LmResponse:
        try:
            async with asyncio.timeout(timeout_s) as attempt:
                began = self._clock()
                response = await self._inner.complete(request)
                return response.timed(round(1000 * (self._clock() - began)))
        except TimeoutError:
            if not attempt.expired():
                raise
            raise CallTimeoutError(
                f"{request.identity.model}: no answer within {timeout_s:g} s", retryable=True
            ) from None

    def _wait_s(self, request: LmRequest, attempt: int, error: ProviderError) -> float:
        asked_s = error.retry_after_s or 0.0
        if asked_s > self._longest_wait_s:
            raise ProviderError(
                error.message,
                status=error.status,
                retryable=True,
                retry_after_s=asked_s,
                hint=f"the server asks to come back in {asked_s:.0f} s",
            ) from error
        backoff_s = min(self._cap_s, self._base_s * 2.0 ** min(attempt, 32))
        return max(asked_s, backoff_s * jitter(self._seed, request.key, attempt))


def jitter(seed: int, key: str, attempt: int) -> float:
    """Return the factor of a wait, in [0.5, 1), the same for the same arguments."""
    digest = hashlib.sha256(f"retry/{seed}/{key}/{attempt}".encode()).digest()
    return 0.5 + random.Random(digest).random() / 2
