from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.evaluation.metric_result import MetricError
from tests.evaluation.metrics.scoring import NO_DEADLINE, feedback, judge, score


@pytest.mark.parametrize(
    ("got", "wanted", "absolute", "relative", "points"),
    [
        (1.1, 1, 0.1, 0, 1),
        (1.11, 1, 0.1, 0, 0),
        (-110, -100, 0, 0.1, 1),
        (111, 100, 0, 0.1, 0),
        (0, 0, 0, 0, 1),
        (3, 3.0, 0, 0, 1),
        (2**70, 2**70 + 1, 0, 0, 0),
        (0.3, 0.1, 0.1, 2, 1),
    ],
)
def test_a_number_is_right_within_the_larger_tolerance(got, wanted, absolute, relative, points):
    found = score("numeric", got, wanted, abs_tolerance=absolute, rel_tolerance=relative)
    assert found == points


@pytest.mark.parametrize("got", ["3", True, None, [3]])
def test_what_is_no_number_is_0_with_the_number_expected(got):
    result = judge("numeric", {"n": got}, {"n": 3}, field="n")
    assert result.score == 0
    assert result.feedback.endswith("expected the number 3")


@pytest.mark.parametrize("expected", ["3", True, None])
def test_an_expected_value_that_is_no_number_is_an_error(expected):
    with pytest.raises(MetricError, match="not a number"):
        score("numeric", 3, expected)


@NO_DEADLINE
@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 1))
def test_a_wider_tolerance_never_takes_a_point_away(got, wanted, absolute, relative):
    narrow = score("numeric", got, wanted, abs_tolerance=absolute, rel_tolerance=relative)
    wide = score("numeric", got, wanted, abs_tolerance=absolute * 2, rel_tolerance=relative)
    assert narrow <= wide


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("42", 42),
        ("The total is $1,234.50.", 1234.5),
        ("-$5", -5),
        ("€ 12", 12),
        ("12 %", 12),
        ("EUR 3,000,000", 3_000_000),
        (".5", 0.5),
        ("1.5e3 m", 1500),
        ("\u22127", -7),
        ("\u20137", -7),
        ("5kg", 5),
        ("route-66", 66),
        ("007", 7),
    ],
)
def test_a_number_is_read_out_of_a_text(text, value):
    assert score("number", text, value) == 1
    assert score("number", text, value + 1) == 0


@pytest.mark.parametrize(
    ("text", "decimal", "thousands", "value"),
    [
        ("1.234,5 €", ",", ".", 1234.5),
        ("1 234,5", ",", " ", 1234.5),
        ("1\u202f234,5", ",", " ", 1234.5),
        ("1'234.5", ".", "'", 1234.5),
        ("1\u2019234.5", ".", "'", 1234.5),
        ("1234.5", ".", "", 1234.5),
    ],
)
def test_marks_are_as_declared(text, decimal, thousands, value):
    assert score("number", text, value, decimal=decimal, thousands=thousands) == 1


@pytest.mark.parametrize(
    "text", ["3 or 4", "1,23", "1,234,56", "2024-03-05", "1.234,5", "3\u20134"]
)
def test_a_text_with_several_numbers_is_wrong_and_says_so(text):
    found = feedback("number", text, 3)
    assert "numbers as it is written" in found


def test_a_text_without_a_number_is_wrong_and_says_so():
    assert feedback("number", "three", 3) == (
        'x: got "three", expected the number 3; it holds no number as it is written'
    )


def test_a_wrong_number_says_how_the_text_reads():
    assert feedback("number", "about 1,200", 1000, rel_tolerance=0.1) == (
        'x: got "about 1,200", expected the number 1000 give or take 100; it reads as 1200'
    )


@pytest.mark.parametrize("text", ["9" * 5000, "1e999", "1" + "e9" * 50, "1e" + "9" * 400])
def test_a_number_that_nobody_means_costs_nothing(text):
    assert score("number", text, 3) == 0


def test_a_number_beyond_every_float_has_feedback_too():
    assert "the number beyond 1e308" in feedback("number", "3.5", "1e999", rel_tolerance=0.5)
    assert "it reads as beyond 1e308" in feedback("number", "1e999", 3)


@pytest.mark.parametrize("expected", ["a", "1 or 2", None, True])
def test_an_expected_text_must_hold_one_number(expected):
    with pytest.raises(MetricError, match="not one number"):
        score("number", "1", expected)


@NO_DEADLINE
@given(st.decimals(-(10**9), 10**9, places=2))
def test_a_number_written_with_groups_reads_as_itself(value):
    assert score("number", f"USD {value:,.2f}", float(value)) == 1


def test_a_number_too_long_to_be_read_equals_no_other():
    assert score("number", "0." + "0" * 500 + "1", 0) == 0
    assert score("number", "1" * 401, "1" * 400) == 0
