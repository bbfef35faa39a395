from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.history import PairedTest
from dse_cli.contracts.project import GatePolicy
from dse_cli.evaluation.gate import decide, gate_line
from dse_cli.evaluation.statistics import paired_test

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
