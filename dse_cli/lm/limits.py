"""Client-side limits per model: calls in flight, requests per minute, tokens per minute."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
    from dse_cli.lm.layer import Layer
    from dse_cli.lm.routes import CallLimits

_WINDOW_S = 60.0
_CHARS_PER_TOKEN = 4  # a rough guess, corrected when the usage of the answer is known
_DEFAULT_ANSWER_TOKENS = 256

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Entry:
    at: float
    amount: int


class WindowLimiter:
    """At most ``limit`` units in any window of 60 s; waiters are served in order of arrival.

    A sliding window and not a token bucket, because a bucket that is full lets twice the limit
    through in its first minute. An amount over the whole limit is admitted when the window is
    empty.
    """

    def __init__(self, limit: int, clock: Clock, sleep: Sleep) -> None:
        self._limit = limit
        self._clock = clock
        self._sleep = sleep
        self._entries: deque[_Entry] = deque()
        self._used = 0
        self._turn = asyncio.Lock()

    async def take(self, amount: int) -> _Entry:
        """Wait until ``amount`` fits, and take it."""
        async with self._turn:
            self._expire()
            while self._entries and self._used + amount > self._limit:
                await self._sleep(max(self._entries[0].at + _WINDOW_S - self._clock(), 0.001))
                self._expire()
            entry = _Entry(self._clock(), amount)
            self._entries.append(entry)
            self._used += amount
            return entry

    def correct(self, entry: _Entry, amount: int) -> None:
        """Replace a guess by what was really used; nothing happens once it left the window."""
        self._expire()
        if self._entries and entry.at >= self._entries[0].at:
            self._used += amount - entry.amount
            entry.amount = amount

    def _expire(self) -> None:
        horizon = self._clock() - _WINDOW_S
        while self._entries and self._entries[0].at <= horizon:
            self._used -= self._entries.popleft().amount


class _Lane:
    """The limits of one model."""

    def __init__(self, limits: CallLimits, clock: Clock, sleep: Sleep) -> None:
        self.slots = asyncio.Semaphore(limits.concurrency)
        rpm, tpm = limits.requests_per_minute, limits.tokens_per_minute
        self.requests = None if rpm is None else WindowLimiter(rpm, clock, sleep)
        self.tokens = None if tpm is None else WindowLimiter(tpm, clock, sleep)

    async def admit(self, request: LmRequest) -> _Entry | None:
        if self.requests is not None:
            await self.requests.take(1)
        return None if self.tokens is None else await self.tokens.take(guess_tokens(request))

    def settle(self, entry: _Entry | None, response: LmResponse) -> None:
        used = response.usage.total_tokens
        if self.tokens is not None and entry is not None and used is not None:
            self.tokens.correct(entry, used)


class LimitsLayer:
    """Holds calls back until their model's limits let them go.

    It sits above the retries: a call that waits to be retried keeps its slot, which is the back
    pressure a struggling server needs, and waiting here is not counted into ``request.timeout_s``.
    """

    def __init__(
        self,
        inner: Layer,
        limits: Callable[[ModelIdentity], CallLimits],
        *,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._inner = inner
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._lanes: dict[ModelIdentity, _Lane] = {}

    async def complete(self, request: LmRequest) -> LmResponse:
        lane = self._lane(request.identity)
        async with lane.slots:
            entry = await lane.admit(request)
            response = await self._inner.complete(request)
            lane.settle(entry, response)
            return response

    async def admit(self, request: LmRequest) -> None:
        """Wait until the rate limits allow one more attempt of a call that holds its slot."""
        await self._lane(request.identity).admit(request)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _lane(self, identity: ModelIdentity) -> _Lane:
        lane = self._lanes.get(identity)
        if lane is None:
            lane = _Lane(self._limits(identity), self._clock, self._sleep)
            self._lanes[identity] = lane
        return lane


def guess_tokens(request: LmRequest) -> int:
    """Guess the tokens of a call before it is made: its characters, and the answer's limit."""
    prompt = sum(len(message.content) for message in request.messages) // _CHARS_PER_TOKEN
    return prompt + (request.sampling.max_tokens or _DEFAULT_ANSWER_TOKENS)
