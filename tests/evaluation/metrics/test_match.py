from __future__ import annotations

import pytest

from dse_cli.evaluation.metric_result import MetricError
from tests.evaluation.metrics.scoring import judge, score


def test_an_exact_field_says_what_was_there_and_what_was_expected():
    result = judge("exact_match", {"queue": "shipping"}, {"queue": "billing"}, field="queue")
    assert result[:2] == (0, 'queue: got "shipping", expected "billing"')


def test_a_field_that_is_missing_is_named():
    result = judge("exact_match", {"a": []}, {"a": ["x"]}, field="a.0")
    assert result[:2] == (0, 'a.0: the output has no such field, expected "x"')


def test_a_whole_output_lists_the_fields_that_differ():
    result = judge("exact_match", {"a": 1, "b": 2, "d": None}, {"a": 1.0, "b": 3, "c": "x"})
    assert result.score == 0
    assert result.feedback == (
        'b: got 2, expected 3; c: the output has no such field, expected "x"; '
        "d: got null, expected no such field"
    )


def test_a_long_list_of_differences_is_cut_visibly():
    result = judge("exact_match", {}, {f"k{i}": i for i in range(30)})
    assert result.feedback.endswith("and 10 more")


def test_numbers_compare_by_value_and_booleans_are_no_numbers():
    assert score("exact_match", 1.0, 1) == 1
    assert score("exact_match", True, 1) == 0


@pytest.mark.parametrize(
    ("left", "right", "steps"),
    [
        (" ABC", "abc ", ["strip", "casefold"]),
        ("a  b\n", "a b", ["collapse_whitespace"]),
        ("don't, stop!", "dont stop", ["strip_punctuation"]),
        ("«oui»", "oui", ["strip_punctuation"]),
        ("ﬁne ①", "fine 1", ["unicode_nfkc"]),
        ("The cat on a mat", "cat on mat", ["drop_articles"]),
    ],
)
def test_normalisation_applies_to_both_sides(left, right, steps):
    assert score("exact_match", left, right) == 0
    assert score("exact_match", left, right, normalize=steps) == 1
    assert score("exact_match", right, left, normalize=steps) == 1


def test_steps_are_done_in_their_order():
    assert score("exact_match", "(the) x", "x", normalize=["strip_punctuation", "drop_articles"])
    assert not score("exact_match", "t.he x", "x", normalize=["drop_articles", "strip_punctuation"])


def test_an_article_inside_a_word_stays():
    assert score("exact_match", "theatre", "tre", normalize=["drop_articles"]) == 0


def test_one_of_takes_a_list_or_a_single_value():
    assert score("one_of", "b", ["a", "b"]) == 1
    assert score("one_of", "b", "b") == 1
    result = judge("one_of", {"q": "c"}, {"q": ["a", "b"]}, field="q")
    assert result[:2] == (0, 'q: got "c", expected "a" or "b"')


def test_an_empty_list_of_choices_is_an_error():
    with pytest.raises(MetricError, match="lists no value"):
        score("one_of", "a", [])


def test_a_classification_names_the_confusion_pair():
    right = judge("classification", {"q": "a"}, {"q": "a"}, field="q")
    wrong = judge("classification", {"q": "b"}, {"q": "a"}, field="q")
    none = judge("classification", {}, {"q": "a"}, field="q")
    assert right[:2] == (1, "")
    assert right.metadata == {"expected": "a", "got": "a"}
    assert wrong[:2] == (0, 'q: classified as "b", expected the class "a"')
    assert wrong.metadata == {"expected": "a", "got": "b"}
    assert none.metadata == {"expected": "a", "got": None}
    assert none.feedback == 'q: the output has no such field, expected the class "a"'


def test_a_class_that_does_not_exist_is_answered_with_the_ones_that_do():
    result = judge("classification", {"q": "z"}, {"q": "a"}, field="q", labels=["a", "b"])
    assert result.feedback.endswith('expected the class "a"; the classes are "a", "b"')


def test_an_expected_class_that_is_no_label_is_an_error():
    with pytest.raises(MetricError, match=r"none of the labels \"a\", \"b\""):
        judge("classification", {"q": "a"}, {"q": "c"}, field="q", labels=["a", "b"])


def test_classes_are_compared_normalised():
    settings = {"field": "q", "labels": ["A"], "normalize": ["casefold"]}
    result = judge("classification", {"q": "A"}, {"q": "a"}, **settings)
    assert result[:2] == (1, "")
    assert result.metadata == {"expected": "a", "got": "a"}
