from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.contracts.job import CompileBudget
from dse_cli.evaluation.ledger import Bound, BudgetStopError, Ledger


def ledger(**limits: Any) -> Ledger:
    return Ledger(CompileBudget(**limits))


def cell(calls: int = 1, tokens: int | None = 10, cost: int | None = 5) -> Cell:
    return Cell("c", "r", "h", 0, 1.0, usage=CellUsage(calls, 0, tokens, 0, cost))


def test_bounds_add_up_and_unknown_stays_unknown() -> None:
    assert Bound(1, 2, 3, 4) + Bound(10, 20, 30, 40) == Bound(11, 22, 33, 44)
    assert Bound(1, 1, None, 4) + Bound(1, 1, 3, None) == Bound(2, 2, None, None)


@pytest.mark.parametrize(
    ("limits", "bound", "name"),
    [
        ({"max_metric_calls": 10}, Bound(11, 0, 0, 0), "max_metric_calls"),
        ({"max_lm_calls": 10}, Bound(1, 11, 0, 0), "max_lm_calls"),
        ({"max_tokens": 10}, Bound(1, 1, 11, 0), "max_tokens"),
        ({"max_cost_usd": 0.00000001}, Bound(1, 1, 1, 11), "max_cost_usd"),
        ({"max_cost_usd": 0.0}, Bound(1, 1, 1, 1), "max_cost_usd"),
    ],
)
def test_what_may_not_fit_is_refused_and_what_just_fits_is_not(limits, bound, name) -> None:
    with pytest.raises(BudgetStopError) as stopped:
        ledger(**limits).check(bound, 3)
    assert (stopped.value.budget, stopped.value.batch) == (name, 3)
    assert stopped.value.detail
    just = Bound(
        *(
            max(0, part - 1)
            for part in (
                bound.metric_calls,
                bound.lm_calls,
                bound.tokens or 0,
                bound.cost_nano_usd or 0,
            )
        )
    )
    ledger(**limits).check(just, 3)


def test_free_models_run_on_a_budget_of_nothing() -> None:
    ledger(max_cost_usd=0.0).check(Bound(5, 5, 100, 0), 0)


@pytest.mark.parametrize(
    ("limits", "bound"),
    [({"max_tokens": 9}, Bound(1, 1, None, 0)), ({"max_cost_usd": 1.0}, Bound(1, 1, 1, None))],
)
def test_a_limit_that_nothing_bounds_is_refused_before_anything_is_spent(limits, bound) -> None:
    with pytest.raises(UsageError, match="cannot be kept"):
        ledger(**limits).check(bound, 0)


@pytest.mark.parametrize(
    ("limits", "used"),
    [({"max_tokens": 10**6}, cell(tokens=None)), ({"max_cost_usd": 1.0}, cell(cost=None))],
)
def test_unknown_usage_ends_a_run_with_such_a_limit_and_loses_nothing(limits, used) -> None:
    budget = ledger(**limits)
    budget.charge([used])
    with pytest.raises(BudgetStopError, match="unknown"):
        budget.check(Bound(1, 1, 1, 1), 1)


def test_charges_are_sums_over_cells() -> None:
    budget = ledger()
    budget.charge([cell(2, 10, 5), cell(1, 1, 1)])
    assert budget.to_json() == {
        "metric_calls": 2, "lm_calls": 3, "tokens": 11, "cost_nano_usd": 6,
    }  # fmt: skip
    budget.charge([cell(1, None, None)])
    assert budget.to_json()["tokens"] is None
    assert budget.to_json()["cost_nano_usd"] is None


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), max_size=8),
    st.integers(1, 30),
)
def test_a_limit_is_never_passed_as_long_as_bounds_hold(batches, limit) -> None:
    budget = ledger(max_lm_calls=limit)
    for number, batch in enumerate(batches):
        try:
            budget.check(Bound(len(batch), 3 * len(batch), 0, 0), number)
        except BudgetStopError:
            break
        budget.charge([cell(calls) for calls in batch])
        assert budget.lm_calls <= limit


def test_what_fits_is_what_a_check_lets_pass() -> None:
    limited = ledger(max_metric_calls=2, max_tokens=30)
    assert limited.fits(Bound(2, 9, 30, None))
    assert not limited.fits(Bound(3, 9, 30, None))
    assert not limited.fits(Bound(2, 9, 31, None))
    # An unbounded answer cannot be known to fit, and asking is no error.
    assert not limited.fits(Bound(1, 1, None, 0))
