from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dse_cli.contracts.metrics.lists import ListMatch
from dse_cli.evaluation.metric_result import MetricError
from dse_cli.evaluation.metrics.alignment import MAX_ITEMS
from tests.evaluation.metrics.scoring import NO_DEADLINE, at, feedback, judge, score

LETTERS = st.lists(st.sampled_from("abcd"), max_size=6)
SETS = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)


# --- sets ---------------------------------------------------------------------------------------


def test_a_set_match_lists_correct_missed_and_wrong():
    result = judge("set_match", at(["b", "z", "a"]), at(["c", "a", "b", "d"]), field="x")
    assert result.score == pytest.approx(4 / 7)
    assert result.feedback == 'x: correct: "a", "b"; missed: "c", "d"; wrong: "z"'
    assert result.metadata == {"precision": 2 / 3, "recall": 0.5, "f1": pytest.approx(4 / 7)}


@pytest.mark.parametrize(
    ("got", "wanted", "measures"),
    [
        ([], [], (1, 1, 1)),
        ([], ["a"], (0, 0, 0)),
        (["a"], [], (0, 1, 0)),
        (["a", "a"], ["a"], (1, 1, 1)),
        ([1.0], [1], (1, 1, 1)),
        ([True], [1], (0, 0, 0)),
    ],
)
def test_precision_recall_and_f1_at_the_edges(got, wanted, measures):
    names = ("precision", "recall", "f1")
    assert tuple(score("set_match", got, wanted, measure=name) for name in names) == measures


@NO_DEADLINE
@given(LETTERS, LETTERS, st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter_to_a_set(got, wanted, random):
    shuffled = [*got, *got]
    random.shuffle(shuffled)
    first = judge("set_match", at(got), at(wanted), field="x")
    assert judge("set_match", at(shuffled), at(wanted), field="x") == first


def test_an_output_that_is_no_list_is_0_and_such_a_row_an_error():
    assert feedback("set_match", "a", ["b", "a"]) == 'x: got "a", expected a list of "a", "b"'
    with pytest.raises(MetricError, match="not a list"):
        score("set_match", [], "a")


# --- alignment ----------------------------------------------------------------------------------


def best_ordered(got: list[str], wanted: list[str]) -> int:
    """The longest common subsequence, by trying every one."""
    for size in range(min(len(got), len(wanted)), 0, -1):
        shared = set(itertools.combinations(got, size)) & set(itertools.combinations(wanted, size))
        if shared:
            return size
    return 0


@NO_DEADLINE
@given(LETTERS, LETTERS)
def test_an_ordered_exact_match_is_the_longest_common_subsequence(got, wanted):
    total = len(got) + len(wanted)
    wanted_score = 2 * best_ordered(got, wanted) / total if total else 1
    assert score("list_match", got, wanted) == pytest.approx(wanted_score)


@NO_DEADLINE
@given(LETTERS, LETTERS, st.randoms(use_true_random=False))
def test_an_unordered_match_does_not_see_the_order(got, wanted, random):
    shuffled = got[:]
    random.shuffle(shuffled)
    first = score("list_match", got, wanted, order=False)
    assert score("list_match", shuffled, wanted, order=False) == first
    assert first >= score("list_match", got, wanted)


@NO_DEADLINE
@given(
    st.lists(st.text("ab", max_size=3), max_size=4), st.lists(st.text("ab", max_size=3), max_size=4)
)
def test_an_unordered_assignment_is_optimal(got, wanted):
    from rapidfuzz.distance import Levenshtein

    small, large = sorted((got, wanted), key=len)
    best = max(
        math.fsum(map(Levenshtein.normalized_similarity, small, some))
        for some in itertools.permutations(large, len(small))
    )
    total = len(got) + len(wanted)
    found = score("list_match", got, wanted, order=False, items="edit")
    assert found == pytest.approx(2 * best / total if total else 1, abs=1e-9)


def test_feedback_names_near_missed_and_wrong_items():
    result = judge(
        "list_match", at(["apple", "zzz"]), at(["apples", "pear"]), field="x", items="edit"
    )
    assert result.feedback == (
        'x.0: got "apple", expected "apples"; x: missed "pear"; x: wrong "zzz"'
    )


def test_feedback_says_when_only_the_order_is_wrong():
    assert feedback("list_match", ["b", "a"], ["a", "b"]).endswith("the order is wrong")
    assert score("list_match", ["b", "a"], ["a", "b"], order=False) == 1


def test_items_are_compared_field_by_field():
    got = [{"sku": "a", "n": 1}, {"sku": "b", "n": 9}]
    wanted = [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]
    settings = {"items": "fields", "fields": {"sku": 3, "n": 1}}
    assert score("list_match", got, wanted, **settings) == pytest.approx(7 / 8)
    assert feedback("list_match", got, wanted, **settings) == "x.1.n: got 9, expected 2"


@pytest.mark.parametrize("settings", [{"items": "fields"}, {"fields": {"a": 1}}])
def test_fields_without_their_use_are_refused(settings):
    with pytest.raises(ValidationError, match="go together"):
        ListMatch.model_validate({"weight": 1, "field": "x", **settings})


def test_a_list_without_end_is_not_compared():
    assert "are not compared" in feedback("list_match", ["a"] * 1001, ["a"])


# --- retrieval ----------------------------------------------------------------------------------


def test_retrieval_measures_by_their_formulas():
    settings = {"field": "ids", "relevant": "right"}
    output, expected = {"ids": ["z", "a", "y", "b"]}, {"right": ["a", "b", "c"]}
    result = judge("retrieval", output, expected, **settings)
    gain = 1 / math.log2(3) + 1 / math.log2(5)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert result.metadata == pytest.approx(
        {"precision": 0.5, "recall": 2 / 3, "f1": 4 / 7, "mrr": 0.5, "ndcg": gain / ideal}
    )
    assert result.score == pytest.approx(2 / 3)
    assert result.feedback == (
        'ids: 2 of 3 relevant ids at rank 2, 4; missed: "c"; not relevant, in their order: "z", "y"'
    )


@pytest.mark.parametrize(
    ("measure", "k", "points"),
    [("recall", 2, 1 / 3), ("precision", 2, 0.5), ("mrr", 1, 0), ("ndcg", 1, 0), ("f1", 2, 0.4)],
)
def test_only_the_first_k_count(measure, k, points):
    found = score("retrieval", ["z", "a", "b"], ["a", "b", "c"], measure=measure, k=k)
    assert found == pytest.approx(points)


def test_a_repeated_id_counts_once_at_its_first_place():
    for measure in ("precision", "recall", "ndcg", "mrr", "f1"):
        first = score("retrieval", ["a", "a", "z"], ["a", "a"], measure=measure)
        assert first == score("retrieval", ["a", "z"], ["a"], measure=measure)


@pytest.mark.parametrize("measure", ["recall", "precision", "f1", "mrr", "ndcg"])
def test_nothing_found_where_nothing_is_relevant_is_perfect(measure):
    assert score("retrieval", [], [], measure=measure) == 1
    assert score("retrieval", [], ["a"], measure=measure) == 0


@NO_DEADLINE
@given(SETS, SETS.filter(bool))
def test_the_order_of_the_relevant_ids_does_not_matter_and_that_of_the_list_does(got, right):
    for measure in ("mrr", "ndcg"):
        forth = score("retrieval", got, right, measure=measure)
        assert forth == score("retrieval", got, right[::-1], measure=measure)
        ranked = sorted(got, key=lambda item: item not in right)
        assert score("retrieval", ranked, right, measure=measure) >= forth


def test_a_row_with_more_items_than_are_aligned_is_an_error_and_not_an_unreachable_score():
    many = ["a"] * (MAX_ITEMS + 1)
    with pytest.raises(MetricError, match="at most 1000 can be aligned"):
        score("list_match", many, many)
    assert score("list_match", many, ["a"]) == 0
