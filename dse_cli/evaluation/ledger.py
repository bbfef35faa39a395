"""The run's budget, checked before each batch: it fits, or the batch does not start.

Charges are sums over cells, never over what the gateway happened to see, so that they are the same
for a cold run, a warm run, a resumed run and a replay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.lm import NANO

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell, CellUsage
    from dse_cli.contracts.job import CompileBudget

BudgetName = Literal["max_metric_calls", "max_lm_calls", "max_tokens", "max_cost_usd", "max_time_s"]


@dataclass(frozen=True, slots=True)
class Bound:
    """What a piece of work cannot exceed; None is unbounded or unknown.

    Attributes:
        metric_calls: cells.
        lm_calls: model calls, repairs included.
        tokens: prompt and completion tokens.
        cost_nano_usd: nano-dollars.
    """

    metric_calls: int = 0
    lm_calls: int = 0
    tokens: int | None = 0
    cost_nano_usd: int | None = 0

    def __add__(self, other: Bound) -> Bound:
        return Bound(
            self.metric_calls + other.metric_calls,
            self.lm_calls + other.lm_calls,
            _plus(self.tokens, other.tokens),
            _plus(self.cost_nano_usd, other.cost_nano_usd),
        )


class BudgetStopError(Exception):
    """A budget ends the search: a clean, recorded outcome, not a failure.

    Attributes:
        budget: which limit.
        batch: the batch that did not start (or was rolled back), from 0.
        detail: one sentence with numbers.
    """

    def __init__(self, budget: BudgetName, batch: int, detail: str) -> None:
        super().__init__(detail)
        self.budget: BudgetName = budget
        self.batch = batch
        self.detail = detail


class ShareStopError(Exception):
    """The proposer's share of the budget is used up: proposals end, the search goes on."""


class Ledger:
    """Counts what a run was charged against its limits.

    Args:
        limits: the job's budget.

    Attributes:
        proposer: what of it went to the proposer, against the proposer's share; None without one.
    """

    def __init__(self, limits: CompileBudget) -> None:
        self.limits = limits
        self.proposer = None if limits.proposer_share is None else Ledger(_share(limits))
        self.metric_calls = 0
        self.lm_calls = 0
        self.tokens: int | None = 0
        self.cost_nano_usd: int | None = 0

    @property
    def is_limited(self) -> bool:
        """Whether anything but time is limited, so that it is worth knowing what work may need."""
        limits = self.limits
        work = (limits.max_metric_calls, limits.max_lm_calls, limits.max_tokens)
        return limits.max_cost_usd is not None or any(limit is not None for limit in work)

    def check(self, bound: Bound, batch: int) -> None:
        """Make sure that work of at most ``bound`` fits.

        Raises:
            BudgetStopError: it may not fit; nothing of it may start.
            UsageError: a limit cannot be kept because nothing bounds its quantity.
        """
        self._check_one("max_metric_calls", self.metric_calls, bound.metric_calls, batch)
        self._check_one("max_lm_calls", self.lm_calls, bound.lm_calls, batch)
        if self.limits.max_tokens is not None:
            if bound.tokens is None:
                raise UsageError(
                    "max_tokens cannot be kept: the length of an answer is not bounded",
                    hint="set defaults.constraints.max_tokens in the signature",
                )
            spent = _known("max_tokens", self.tokens, batch)
            self._check_one("max_tokens", spent, bound.tokens, batch)
        if self.limits.max_cost_usd is not None:
            if bound.cost_nano_usd is None:
                raise UsageError(
                    "max_cost_usd cannot be kept: no price is known for a model of this run, or "
                    "the length of an answer is not bounded",
                    hint="remove max_cost_usd, or name a model that LiteLLM has a price for and "
                    "set defaults.constraints.max_tokens in the signature",
                )
            spent = _known("max_cost_usd", self.cost_nano_usd, batch)
            self._check_cost(spent, bound.cost_nano_usd, batch)

    def fits(self, bound: Bound) -> bool:
        """Tell whether work of at most ``bound`` fits; what cannot be known does not."""
        try:
            self.check(bound, 0)
        except (BudgetStopError, UsageError):
            return False
        return True

    def check_query(self, bound: Bound, batch: int) -> None:
        """Make sure that questions to the proposer fit, in its share too.

        Raises:
            ShareStopError: the share may not cover them; nothing of it may start.
            BudgetStopError, UsageError: as :meth:`check`.
        """
        if self.proposer is not None:
            try:
                self.proposer.check(bound, batch)
            except BudgetStopError as reached:
                raise ShareStopError(f"{reached.budget}: {reached.detail}") from None
        self.check(bound, batch)

    def charge(self, cells: Iterable[Cell]) -> None:
        """Add what cells used, their judges included."""
        for cell in cells:
            self.metric_calls += 1
            self.add(cell.usage)
            self.add(cell.judging)

    def charge_queries(self, usages: Iterable[CellUsage]) -> None:
        """Add what questions to the proposer used."""
        for usage in usages:
            self.add(usage)
            if self.proposer is not None:
                self.proposer.add(usage)

    def add(self, usage: CellUsage) -> None:
        """Add calls, tokens and money; unknown makes the sum unknown."""
        self.lm_calls += usage.lm_calls
        self.tokens = _plus(self.tokens, usage.total_tokens)
        self.cost_nano_usd = _plus(self.cost_nano_usd, usage.cost_nano_usd)

    def to_json(self) -> dict[str, int | None]:
        """Return the charges."""
        return {
            "metric_calls": self.metric_calls,
            "lm_calls": self.lm_calls,
            "tokens": self.tokens,
            "cost_nano_usd": self.cost_nano_usd,
        }

    def _check_one(self, name: BudgetName, spent: int, needed: int, batch: int) -> None:
        limit = getattr(self.limits, name)
        if limit is not None and spent + needed > limit:
            detail = f"{spent} of {limit} used, the next batch may need {needed}"
            raise BudgetStopError(name, batch, detail)

    def _check_cost(self, spent: int, needed: int, batch: int) -> None:
        limit = self.limits.max_cost_usd or 0.0
        if spent + needed > round(limit * NANO):
            detail = (
                f"${spent / NANO:.6f} of ${limit:g} used, the next batch may need "
                f"${needed / NANO:.6f}"
            )
            raise BudgetStopError("max_cost_usd", batch, detail)


def _share(limits: CompileBudget) -> CompileBudget:
    """Return the limits of the proposer: its share of every limit on work, in whole units."""
    share = limits.proposer_share or 0.0
    changed: dict[str, float | int | None] = {
        name: None if limit is None else math.floor(limit * share)
        for name in ("max_lm_calls", "max_tokens")
        if (limit := getattr(limits, name)) is not None
    }
    if limits.max_cost_usd is not None:
        changed["max_cost_usd"] = limits.max_cost_usd * share
    none = {"max_metric_calls": None, "max_time_s": None, "proposer_share": None}
    return limits.model_copy(update={**none, **changed})


def _known(name: BudgetName, spent: int | None, batch: int) -> int:
    """Return what was spent, or end the run: unknown is not zero, and more may not fit."""
    if spent is None:
        raise BudgetStopError(
            name, batch, "a provider reported no usage, so what is left is unknown"
        )
    return spent


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
