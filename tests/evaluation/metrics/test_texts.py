from __future__ import annotations

import pytest

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
