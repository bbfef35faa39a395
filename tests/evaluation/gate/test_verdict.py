from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.history import GuardResult, PairedTest, SavingResult
from dse_cli.contracts.project import GatePolicy
from dse_cli.evaluation.gate.non_inferiority import NonInferiorityFinding
from dse_cli.evaluation.gate.verdict import (
    conclude,
    decide,
    gate_line,
    guard_text,
    holdout_problem,
    minimum_pairs,
)
from dse_cli.evaluation.statistics.paired_test import look_level, paired_test, sign_flip_p

POLICY = GatePolicy(alpha=0.05, min_effect=0.02, margin=0.02)


def comparison(**changes) -> PairedTest:
    base = {
        "test": "mcnemar_mid_p",
        "n": 100,
        "candidate_mean": 0.77,
        "baseline_mean": 0.71,
        "delta": 0.06,
        "p": 0.021,
        "low": 0.01,
        "high": 0.11,
        "wins": 8,
        "losses": 2,
        "ties": 90,
        "minimum_detectable": 0.084,
    }
    return PairedTest.model_validate(base | changes)


def test_a_clear_gain_promotes_on_the_first_look_and_not_on_the_second():
    assert decide(comparison(), POLICY, 1) == ("promote", 0.025)
    verdict, level = decide(comparison(), POLICY, 2)
    assert verdict == "cannot_tell"
    assert level == pytest.approx(0.05 / 6)


def test_a_p_value_at_the_level_and_an_effect_at_the_minimum_promote():
    assert decide(comparison(p=0.025, delta=0.02), POLICY, 1)[0] == "promote"


def test_a_significant_gain_below_the_minimum_does_not_promote():
    assert decide(comparison(delta=0.019, low=0.001, high=0.04), POLICY, 1)[0] == "cannot_tell"
    assert decide(comparison(delta=0.01, low=0.002, high=0.02), POLICY, 1)[0] == "no_change"


def test_an_interval_wholly_below_the_margin_is_a_regression():
    worse = comparison(delta=-0.06, p=0.99, low=-0.11, high=-0.021)
    assert decide(worse, POLICY, 1)[0] == "regression"
    assert decide(worse.model_copy(update={"high": -0.02}), POLICY, 1)[0] == "cannot_tell"


def test_an_interval_within_the_margin_is_no_change():
    same = comparison(delta=0.0, p=0.5, low=-0.02, high=0.02)
    assert decide(same, POLICY, 1)[0] == "no_change"
    assert decide(same.model_copy(update={"high": 0.021}), POLICY, 1)[0] == "cannot_tell"


def test_a_handful_of_rows_can_never_tell():
    lost = comparison(
        n=3, wins=0, losses=3, ties=0, delta=-1.0, low=-1.0, high=-1.0, p=0.9375,
        candidate_mean=0.0, baseline_mean=1.0,
    )  # fmt: skip
    assert decide(lost, POLICY, 1)[0] == "cannot_tell"
    tied = comparison(n=3, wins=0, losses=0, ties=3, delta=0.0, low=0.0, high=0.0, p=0.5)
    assert decide(tied, POLICY, 1)[0] == "cannot_tell"


def test_nothing_to_compare_cannot_tell():
    nothing = paired_test({}, {}, seed=0, level=0.025)
    assert decide(nothing, POLICY, 1) == ("cannot_tell", 0.025)
    assert gate_line(nothing, 0.9) == "no pair of rewards to compare"


@given(
    st.floats(-1, 1), st.floats(0, 1), st.floats(-1, 1), st.floats(-1, 1), st.integers(1, 50),
    st.integers(0, 500),
)  # fmt: skip
def test_nothing_promotes_without_significance_and_the_minimum_effect(delta, p, a, b, look, n):
    found = comparison(delta=delta, p=p, low=min(a, b), high=max(a, b), n=n)
    verdict, level = decide(found, POLICY, look)
    if verdict == "promote":
        assert p <= level <= POLICY.alpha
        assert delta >= POLICY.min_effect - 1e-9


def test_the_line_reads_as_in_the_design():
    assert gate_line(comparison(), 0.82) == (
        "+6.0 points (71.0 -> 77.0, n = 100, paired, p = 0.021, 95 % CI +1.0 to +11.0), "
        "search said 82.0"
    )


def test_the_line_without_a_search_ends_after_the_comparison():
    assert gate_line(comparison(), None).endswith("+11.0)")


def test_a_tiny_p_is_not_printed_as_zero_and_zero_has_no_minus():
    line = gate_line(comparison(p=0.0, delta=-0.0001, low=-0.0004, high=0.0), None)
    assert line.startswith("+0.0 points")
    assert "p < 0.001" in line
    assert "CI +0.0 to +0.0" in line


def test_cannot_tell_names_the_smallest_effect_that_could_have_been_shown():
    line = gate_line(comparison(), 0.82, verdict="cannot_tell")
    assert line.endswith("search said 82.0; smallest effect n = 100 could have shown: 8.4 points")
    none = comparison(n=2, minimum_detectable=None)
    assert gate_line(none, None, verdict="cannot_tell").endswith(
        "; n = 2 could not have shown any effect"
    )
    assert "smallest" not in gate_line(comparison(), None, verdict="promote")


def test_a_simulated_gate_keeps_its_level_and_finds_a_large_gain():
    rng = random.Random(31)
    policy = GatePolicy(alpha=0.05, min_effect=0.0, margin=0.02)
    promoted = {0.0: 0, 0.25: 0}
    for gain in promoted:
        for trial in range(20):
            baseline = {f"r{i}": float(rng.random() < 0.6) for i in range(80)}
            candidate = {
                row: value if rng.random() < 0.6 else float(rng.random() < 0.6 + gain / 0.4 * 0.6)
                for row, value in baseline.items()
            }
            found = paired_test(candidate, baseline, seed=trial, level=0.025)
            promoted[gain] += decide(found, policy, 1)[0] == "promote"
    assert promoted[0.0] <= 3
    assert promoted[0.25] >= 14


# --- guards and the second mode ---


def guard(name: str = "tag refunds", *, tripped: bool = True, **changes) -> GuardResult:
    base = {
        "name": name, "n": 40, "delta": -0.12, "limit": 0.0, "p": 0.001, "adjusted_p": 0.004,
        "tripped": tripped,
    }  # fmt: skip
    return GuardResult.model_validate(base | changes)


def saving(*, shown: bool, observed: float | None = 0.5) -> SavingResult:
    return SavingResult(
        name="cost", n=100, promised=0.2, observed=observed, p=0.001 if shown else 0.4, shown=shown
    )


def test_a_tripped_guard_keeps_the_pointer_where_it_is_and_says_why():
    decision = conclude(comparison(), POLICY, 1, guards=[guard(tripped=False), guard()])
    assert decision == ("guard", "tag refunds: -12.0 points, n = 40, adjusted p = 0.004")
    assert conclude(comparison(), POLICY, 1, guards=[guard(tripped=False)]) == ("promote", None)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (guard("decode_failures", delta=0.05), "decode failures: +5.0 % of answers, n = 40"),
        (guard("tokens", delta=0.8, limit=0.5), "tokens: +80.0 % (allowed +50.0 %), n = 40"),
        (guard("cost", delta=None, limit=0.5), "cost: from none (allowed +50.0 %), n = 40"),
    ],
)
def test_a_guard_speaks_in_its_own_unit(found, said):
    assert guard_text(found) == f"{said}, adjusted p = 0.004"


@pytest.mark.parametrize("verdict", ["regression", "no_change", "cannot_tell"])
def test_guards_change_no_verdict_but_promote(verdict):
    found = {
        "regression": comparison(delta=-0.06, p=0.99, low=-0.11, high=-0.03),
        "no_change": comparison(delta=0.0, p=0.5, low=-0.01, high=0.01),
        "cannot_tell": comparison(p=0.2),
    }[verdict]
    assert conclude(found, POLICY, 1, guards=[guard()]).verdict == verdict


def test_what_could_not_be_measured_never_promotes():
    decision = conclude(comparison(), POLICY, 1, unmeasured=["the cost could not be told"])
    assert decision == ("cannot_tell", "the cost could not be told")


def test_a_gain_below_the_minimum_effect_says_so():
    small = comparison(delta=0.01, low=0.001, high=0.04)
    assert conclude(small, POLICY, 1).reason == "the gain is below min_effect, 2.0 points"
    assert conclude(comparison(p=0.3), POLICY, 1).reason is None


def second(bound: float | None, *, shown: bool = True, **changes) -> tuple[str, str | None]:
    finding = NonInferiorityFinding(bound, (saving(shown=shown),))
    found = comparison(delta=0.0, p=0.5, low=-0.01, high=0.01, **changes)
    return conclude(found, POLICY, 1, non_inferiority=finding)


def test_the_second_mode_needs_the_bound_above_the_margin_and_the_saving():
    assert second(-0.0199) == ("promote", None)
    assert second(-0.02)[0] == "cannot_tell"
    assert second(None)[0] == "cannot_tell"
    verdict, reason = second(-0.03, shown=False)
    assert verdict == "cannot_tell"
    assert reason == (
        "the lower bound of the difference, -3.0 points, is not above -2.0; "
        "a saving of cost above 20.0 % is not shown (50.0 % measured, p = 0.400)"
    )


def test_the_second_mode_knows_a_regression_and_guards():
    worse = comparison(delta=-0.06, p=0.99, low=-0.11, high=-0.03)
    finding = NonInferiorityFinding(-0.1, (saving(shown=True),))
    assert conclude(worse, POLICY, 1, non_inferiority=finding).verdict == "regression"
    finding = NonInferiorityFinding(0.0, (saving(shown=True),))
    tripped = conclude(comparison(), POLICY, 1, guards=[guard()], non_inferiority=finding)
    assert tripped.verdict == "guard"


def test_in_the_second_mode_a_gain_without_the_saving_does_not_pass():
    finding = NonInferiorityFinding(0.01, (saving(shown=False, observed=None),))
    decision = conclude(comparison(), POLICY, 1, non_inferiority=finding)
    assert decision.verdict == "cannot_tell"
    assert "the baseline used none" in (decision.reason or "")
    nothing = paired_test({}, {}, seed=0, level=0.025)
    assert conclude(nothing, POLICY, 1, non_inferiority=finding).verdict == "cannot_tell"


# --- holdouts that are too small ---


def test_a_holdout_is_too_small_when_no_outcome_could_reach_the_level():
    assert [minimum_pairs(0.05, look) for look in (1, 2, 3, 4)] == [6, 7, 8, 9]
    assert holdout_problem(6, 0.05) is None
    assert holdout_problem(6, 0.05, 2) is not None
    assert holdout_problem(3, 0.05) == (
        "the holdout has 3 rows; no exact test of so few can reach level 0.025: "
        "at least 6 are needed"
    )
    assert "1 group;" in str(holdout_problem(1, 0.05, unit="groups"))


@given(st.floats(0.001, 0.49), st.integers(1, 6))
def test_the_smallest_holdout_can_reach_the_level_and_one_row_less_cannot(alpha, look):
    n, level = minimum_pairs(alpha, look), look_level(alpha, look)
    assert sign_flip_p([0.5] * min(n, 16), 0)[0] == 0.5 ** min(n, 16)
    assert 0.5**n <= level < 0.5 ** (n - 1)
