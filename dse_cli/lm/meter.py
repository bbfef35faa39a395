"""The meter: what a run was charged, and what really left the machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmResponse


@dataclass(slots=True)
class Tally:
    """Sums over calls. Unknown usage is not in the sums; the calls that had it are counted.

    Attributes:
        calls: number of calls.
        prompt_tokens, completion_tokens: tokens of the calls whose usage is known.
        cost_nano_usd: nano-dollars of the calls whose price is known.
        unknown_tokens, unknown_cost: calls whose tokens, or whose price, are not known.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_nano_usd: int = 0
    unknown_tokens: int = 0
    unknown_cost: int = 0

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def add(self, response: LmResponse) -> None:
        """Count one response."""
        usage = response.usage
        self.calls += 1
        self.prompt_tokens += usage.prompt_tokens or 0
        self.completion_tokens += usage.completion_tokens or 0
        self.cost_nano_usd += usage.cost_nano_usd or 0
        self.unknown_tokens += usage.total_tokens is None
        self.unknown_cost += usage.cost_nano_usd is None

    def to_json(self) -> dict[str, Any]:
        return {
            "calls": self.calls,
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_nano_usd": self.cost_nano_usd,
            "unknown_tokens": self.unknown_tokens,
            "unknown_cost": self.unknown_cost,
        }


@dataclass(slots=True)
class Meter:
    """Counts every response twice over: as charged, and, if it was, as paid.

    A hit in the cache, or a call that a resumed run already made, is charged like a fresh one.
    """

    charged: Tally = field(default_factory=Tally)
    paid: Tally = field(default_factory=Tally)

    def record(self, response: LmResponse) -> None:
        """Count one response."""
        self.charged.add(response)
        if response.paid:
            self.paid.add(response)

    @property
    def cache_hits(self) -> int:
        """Calls that were charged and not paid: cache, record, or shared with another call."""
        return self.charged.calls - self.paid.calls
