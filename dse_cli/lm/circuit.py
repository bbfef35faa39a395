"""A circuit breaker per model: an outage fails fast instead of being retried call by call."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import CallTimeoutError, ProviderError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
    from dse_cli.lm.layer import Layer


@dataclass(slots=True)
class _Breaker:
    failures: int = 0
    opened_at: float | None = None
    probing: bool = False
    last_error: str = ""


class CircuitLayer:
    """Opens after ``failures`` calls in a row failed although they were retried.

    While open, calls fail at once. After ``cool_down_s`` one call goes through as a probe: its
    success closes the circuit, its failure opens it again. An answer that refuses one request (a
    400, say) shows that the endpoint is alive, and counts as success. A call cut off by its own
    ``timeout_s`` says nothing: that limit is the policy's, and one slow candidate must not stop the
    others.
    """

    def __init__(
        self,
        inner: Layer,
        *,
        failures: int = 8,
        cool_down_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._failures = failures
        self._cool_down_s = cool_down_s
        self._clock = clock
        self._breakers: dict[ModelIdentity, _Breaker] = {}

    async def complete(self, request: LmRequest) -> LmResponse:
        breaker = self._breakers.setdefault(request.identity, _Breaker())
        is_probe = self._enter(breaker, request.identity)
        try:
            response = await self._inner.complete(request)
        except ProviderError as error:
            if error.retryable:
                self._failed(breaker, error)
            elif not isinstance(error, CallTimeoutError):
                self._alive(breaker)
            raise
        else:
            self._alive(breaker)
            return response
        finally:
            if is_probe:  # also when the probe was cancelled, or no call would ever probe again
                breaker.probing = False

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _enter(self, breaker: _Breaker, identity: ModelIdentity) -> bool:
        """Let a call in and say whether it is a probe, or fail fast."""
        if breaker.opened_at is None:
            return False
        left_s = breaker.opened_at + self._cool_down_s - self._clock()
        if left_s > 0 or breaker.probing:
            raise ProviderError(
                f"{identity.model}: not asked, the last {breaker.failures} calls failed"
                f" (last: {breaker.last_error})",
                retryable=True,
                retry_after_s=max(left_s, 0.0),
                hint="check that the endpoint is up",
            )
        breaker.probing = True
        return True

    def _failed(self, breaker: _Breaker, error: ProviderError) -> None:
        breaker.failures += 1
        breaker.last_error = error.message
        if breaker.failures >= self._failures:
            breaker.opened_at = self._clock()

    def _alive(self, breaker: _Breaker) -> None:
        breaker.failures = 0
        breaker.opened_at = None
