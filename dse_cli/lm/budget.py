"""The budget backstop: no call is made that the budgets do not cover.

The engine checks whole batches before it starts them; this layer is what holds if that is wrong.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import BudgetExhaustedError
from dse_cli.contracts.lm import NANO, LmRequest, LmResponse

if TYPE_CHECKING:
    from dse_cli.lm.layer import Layer
    from dse_cli.lm.meter import Meter


@dataclass(frozen=True, slots=True)
class BudgetLimits:
    """Limits of a run on what it is charged; None is no limit. Money in dollars."""

    max_lm_calls: int | None = None
    max_tokens: int | None = None
    max_cost_usd: float | None = None


class UnmeteredUsageError(BudgetExhaustedError):
    """A budget is set on something the provider does not report, so that it cannot be kept."""

    def __init__(self, budget: str, limit: float, model: str, what: str) -> None:
        hint = f"remove {budget}, or use a model whose {what} is known"
        super().__init__(budget, limit, limit, hint=hint)
        self.message = (
            f"budget {budget} = {limit:g} cannot be kept: the {what} of {model} is unknown"
        )
        self.args = (self.message,)


class BudgetLayer:
    """Refuses calls beyond the limits, and charges every answer to the meter.

    Calls in flight count as calls. Tokens and money of a call are known only afterwards: the next
    call is refused once the limit is reached.
    """

    def __init__(self, inner: Layer, meter: Meter, limits: BudgetLimits) -> None:
        self._inner = inner
        self._meter = meter
        self._limits = limits
        self._in_flight = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        """Answer a call and charge it.

        Raises:
            BudgetExhaustedError: before the call, when it does not fit.
            UnmeteredUsageError: after the call, when a limit is set on usage that is unknown.
        """
        self._check()
        self._in_flight += 1
        try:
            response = await self._inner.complete(request)
        finally:
            self._in_flight -= 1
        self._meter.record(response)
        self._check_known(request, response)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()

    def _check(self) -> None:
        limits, charged = self._limits, self._meter.charged
        calls = charged.calls + self._in_flight + 1
        if limits.max_lm_calls is not None and calls > limits.max_lm_calls:
            raise BudgetExhaustedError("max_lm_calls", limits.max_lm_calls, calls)
        if limits.max_tokens is not None and charged.total_tokens >= limits.max_tokens:
            raise BudgetExhaustedError("max_tokens", limits.max_tokens, charged.total_tokens + 1)
        if limits.max_cost_usd is not None and charged.cost_nano_usd >= limits.max_cost_usd * NANO:
            if charged.cost_nano_usd == 0 and limits.max_cost_usd == 0:
                return  # free models may run on a budget of nothing
            needed = (charged.cost_nano_usd + 1) / NANO
            raise BudgetExhaustedError("max_cost_usd", limits.max_cost_usd, needed)

    def _check_known(self, request: LmRequest, response: LmResponse) -> None:
        limits, usage, model = self._limits, response.usage, request.identity.model
        if limits.max_tokens is not None and usage.total_tokens is None:
            raise UnmeteredUsageError("max_tokens", limits.max_tokens, model, "number of tokens")
        if limits.max_cost_usd is not None and usage.cost_nano_usd is None:
            raise UnmeteredUsageError("max_cost_usd", limits.max_cost_usd, model, "price")
