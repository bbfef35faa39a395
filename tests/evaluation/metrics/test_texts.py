from __future__ import annotations

import re

import pytest
from pydantic import ValidationError

from dse_cli.evaluation.metric_result import MetricError
from tests.evaluation.metrics.scoring import judge, score


def test_contains_is_the_share_of_texts_that_stand_there():
    result = judge(
        "contains",
        {"s": "Red and BLUE"},
        {"s": ["red", "blue", "green", "grey"]},
        field="s",
        normalize=["casefold"],
    )
    assert result.score == 0.5
    assert result.feedback == 's: "Red and BLUE" does not contain "green", "grey"'


def test_contains_of_something_that_is_no_text_is_0_with_the_reason():
    result = judge("contains", {"s": ["a"]}, {"s": "a"}, field="s")
    assert result[:2] == (0, 's: got ["a"], expected a text with "a"')


@pytest.mark.parametrize("expected", [[], ["a", 3], ""])
def test_texts_that_cannot_be_looked_for_are_an_error(expected):
    with pytest.raises(MetricError, match="x"):
        score("contains", "a", expected)


def test_forbidden_is_1_minus_the_share_of_texts_that_stand_there():
    result = judge(
        "forbidden", {"s": "Sorry, as an AI"}, {}, field="s", texts=["sorry", "AI", "zz", "Sorry"]
    )
    assert result.score == 0.5
    assert (
        result.feedback == 's: "Sorry, as an AI" contains "AI", "Sorry", which must not stand there'
    )
    assert judge("forbidden", {"s": "fine"}, {}, field="s", texts=["sorry"]).score == 1


def test_forbidden_texts_may_come_from_the_row_too():
    settings = {"field": "s", "texts": ["b"], "expected": "not"}
    assert judge("forbidden", {"s": "a c"}, {"not": ["a", "b"]}, **settings).score == 0.5
    assert judge("forbidden", {"s": "a c"}, {"not": "d"}, **settings).score == 1
    assert judge("forbidden", {"s": "a c"}, {"not": []}, **settings).score == 1


def test_an_output_that_is_no_text_is_not_free_of_forbidden_words():
    assert judge("forbidden", {"s": 3}, {}, field="s", texts=["a"]).score == 0


def test_a_forbidden_text_that_is_empty_after_normalising_is_an_error():
    with pytest.raises(MetricError, match="empty text stands everywhere"):
        judge("forbidden", {"s": "a"}, {}, field="s", texts=[" "], normalize=["strip"])


def test_a_pattern_must_match_the_whole_text():
    form = r"\d\d:\d\d"
    assert score("regex", "15:30", None, pattern=form) == 1
    assert score("regex", "15:30\n", None, pattern=form) == 0
    assert score("regex", 1530, None, pattern=form) == 0
    assert judge("regex", {"t": "at 15:30"}, {}, field="t", pattern=form).feedback == (
        r't: got "at 15:30", expected a text of the form \d\d:\d\d'
    )


def test_no_pattern_takes_more_than_linear_time():
    # A backtracking matcher would need 2^40 steps for the first and would end the suite here.
    assert score("regex", "a" * 40 + "!", None, pattern=r"(a+)+b") == 0
    assert score("regex", "a" * 1_000_000, None, pattern=r"(a|a)*(a|aa)+") == 1


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(", "missing )"),
        ("a)(b", "unbalanced parenthesis"),
        ("(?!a)b", "looks around"),
        (r"(a)\1", "refers back"),
        ("(((a{1,200}){1,200}){1,200})", "grows too large"),
    ],
)
def test_a_pattern_that_cannot_be_matched_in_linear_time_is_refused(pattern, why):
    with pytest.raises(ValidationError, match=re.escape(why)):
        score("regex", "a", None, pattern=pattern)


def test_letters_of_a_pattern_mean_what_they_mean_in_a_json_schema():
    assert score("regex", "\u0663", None, pattern=r"\d") == 0
    assert score("regex", "é", None, pattern=r"\w") == 0
    assert score("regex", "é", None, pattern=r"\p{L}") == 1
    assert score("regex", "HELLO", None, pattern="(?i)hello") == 1
    assert score("regex", "ab", None, pattern="a|b") == 0


def test_an_expected_text_that_is_empty_is_called_empty():
    with pytest.raises(MetricError, match=r"expected\.x holds an empty text"):
        score("contains", "a", "")
