from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.reward import Contains, ExactMatch, FormatValidity, Numeric, OneOf, Regex
from dse_cli.evaluation.metrics import (
    METRICS,
    MetricError,
    contains,
    exact_match,
    format_validity,
    numeric,
    one_of,
    regex,
)

FALSY = [0, "", False, None, [], {}]


def test_every_metric_has_a_version():
    assert {name: metric.id for name, metric in METRICS.items()} == {
        name: f"{name}.v1"
        for name in ("format_validity", "exact_match", "one_of", "contains", "regex", "numeric")
    }


@pytest.mark.parametrize("value", FALSY)
def test_a_falsy_output_is_an_output(value):
    assert format_validity(FormatValidity(weight=1), value, {}, {}).score == 1
    assert exact_match(ExactMatch(weight=1), value, value, {}).score == 1
    field = ExactMatch(weight=1, field="x")
    assert exact_match(field, {"x": value}, {"x": value}, {}).score == 1
    assert one_of(OneOf(weight=1, field="x"), {"x": value}, {"x": [value, "z"]}, {}).score == 1


def test_an_exact_field_says_what_was_there_and_what_was_expected():
    result = exact_match(
        ExactMatch(weight=1, field="queue"), {"queue": "shipping"}, {"queue": "billing"}, {}
    )
    assert result == (0, 'queue: got "shipping", expected "billing"')


def test_a_field_that_is_missing_is_named():
    result = exact_match(ExactMatch(weight=1, field="a.0"), {"a": []}, {"a": ["x"]}, {})
    assert result == (0, 'a.0: the output has no such field, expected "x"')


def test_a_whole_output_lists_the_fields_that_differ():
    result = exact_match(
        ExactMatch(weight=1), {"a": 1, "b": 2, "d": None}, {"a": 1.0, "b": 3, "c": "x"}, {}
    )
    assert result.score == 0
    assert result.feedback == (
        'b: got 2, expected 3; c: the output has no such field, expected "x"; '
        "d: got null, expected no such field"
    )


def test_a_long_list_of_differences_is_cut_visibly():
    result = exact_match(ExactMatch(weight=1), {}, {f"k{i}": i for i in range(30)}, {})
    assert result.feedback.endswith("and 10 more")


def test_numbers_compare_by_value_and_booleans_are_no_numbers():
    config = ExactMatch(weight=1, field="n")
    assert exact_match(config, {"n": 1.0}, {"n": 1}, {}).score == 1
    assert exact_match(config, {"n": True}, {"n": 1}, {}).score == 0


def test_normalisation_applies_to_both_sides():
    config = ExactMatch(weight=1, field="t", normalize=("strip", "casefold"))
    assert exact_match(config, {"t": " ABC"}, {"t": "abc "}, {}).score == 1
    assert exact_match(ExactMatch(weight=1, field="t"), {"t": " ABC"}, {"t": "abc "}, {}).score == 0


def test_one_of_takes_a_list_or_a_single_value():
    config = OneOf(weight=1, field="q")
    assert one_of(config, {"q": "b"}, {"q": ["a", "b"]}, {}).score == 1
    assert one_of(config, {"q": "b"}, {"q": "b"}, {}).score == 1
    assert one_of(config, {"q": "c"}, {"q": ["a", "b"]}, {})[:2] == (
        0,
        'q: got "c", expected "a" or "b"',
    )


def test_contains_is_the_share_of_texts_that_stand_there():
    config = Contains(weight=1, field="s", normalize=("casefold",))
    result = contains(config, {"s": "Red and BLUE"}, {"s": ["red", "blue", "green", "grey"]}, {})
    assert result.score == 0.5
    assert result.feedback == 's: "Red and BLUE" does not contain "green", "grey"'
    assert contains(config, {"s": "x"}, {"s": "X"}, {}).score == 1


def test_contains_of_something_that_is_no_text_is_0_with_the_reason():
    result = contains(Contains(weight=1, field="s"), {"s": ["a"]}, {"s": "a"}, {})
    assert result[:2] == (0, 's: got ["a"], expected a text with "a"')


def test_a_pattern_must_match_the_whole_text():
    config = Regex(weight=1, field="t", pattern=r"\d\d:\d\d")
    assert regex(config, {"t": "15:30"}, {}, {}).score == 1
    assert regex(config, {"t": "15:30\n"}, {}, {}).score == 0
    assert regex(config, {"t": "at 15:30"}, {}, {}).feedback == (
        r't: got "at 15:30", expected a text of the form \d\d:\d\d'
    )
    assert regex(config, {"t": 1530}, {}, {}).score == 0


@pytest.mark.parametrize(
    ("got", "wanted", "absolute", "relative", "score"),
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
def test_a_number_is_right_within_the_larger_tolerance(got, wanted, absolute, relative, score):
    config = Numeric(weight=1, field="n", abs_tolerance=absolute, rel_tolerance=relative)
    assert numeric(config, {"n": got}, {"n": wanted}, {}).score == score


@pytest.mark.parametrize("got", ["3", True, None, [3]])
def test_what_is_no_number_is_0_with_the_number_expected(got):
    result = numeric(Numeric(weight=1, field="n"), {"n": got}, {"n": 3}, {})
    assert result.score == 0
    assert result.feedback.endswith("expected the number 3")


@pytest.mark.parametrize(
    ("metric", "config", "expected"),
    [
        (exact_match, ExactMatch(weight=1, field="x"), {}),
        (one_of, OneOf(weight=1, field="x"), {"x": []}),
        (contains, Contains(weight=1, field="x"), {"x": []}),
        (contains, Contains(weight=1, field="x"), {"x": ["a", 3]}),
        (contains, Contains(weight=1, field="x"), {"x": ""}),
        (numeric, Numeric(weight=1, field="x"), {"x": "3"}),
        (numeric, Numeric(weight=1, field="x"), {"x": True}),
    ],
)
def test_a_row_that_cannot_be_judged_is_an_error_and_not_a_0(metric, config, expected):
    with pytest.raises(MetricError, match="x"):
        metric(config, {"x": "a"}, expected, {})


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10), st.floats(0, 1))
def test_a_wider_tolerance_never_takes_a_point_away(got, wanted, absolute, relative):
    narrow = Numeric(weight=1, field="n", abs_tolerance=absolute, rel_tolerance=relative)
    wide = Numeric(weight=1, field="n", abs_tolerance=absolute * 2, rel_tolerance=relative)
    output, expected = {"n": got}, {"n": wanted}
    narrow_score = numeric(narrow, output, expected, {}).score
    assert narrow_score <= numeric(wide, output, expected, {}).score
