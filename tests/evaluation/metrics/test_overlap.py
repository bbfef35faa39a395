from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dse_cli.evaluation.metric_result import MetricError
from dse_cli.evaluation.metrics.overlap import rouge_tokens
from tests.evaluation.metrics.scoring import NO_DEADLINE, feedback, judge, score

#: Scores of Google's rouge-score 0.1.2, `rougeL` without stemming.
GOLDEN = json.loads((Path(__file__).parent / "golden/rouge_l.json").read_text())["cases"]
ASCII = st.text(st.characters(max_codepoint=127), max_size=40)
WORDS = ["the", "a", "cat", "sat", "on", "mat", "Cat.", "mat,"]
WORDY = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join)


@pytest.mark.parametrize(
    ("got", "wanted", "f1"),
    [
        ("The cat sat.", "cat sat", 1.0),
        ("cat", "cat sat", 2 / 3),
        ("cat cat", "cat", 2 / 3),
        ("dog", "cat", 0.0),
        ("", "", 1.0),
        ("the", "", 1.0),
        ("", "cat", 0.0),
        ("cat", "the a", 0.0),
        ("don't", "dont", 1.0),
    ],
)
def test_token_f1_is_that_of_squad(got, wanted, f1):
    assert score("token_f1", got, wanted) == pytest.approx(f1, abs=1e-15)


@pytest.mark.parametrize("key", ["token_f1", "rouge_l", "edit_similarity"])
def test_of_several_references_the_nearest_counts(key):
    result = judge(key, {"x": "big red dog"}, {"x": ["a cat", "big red dogs"]}, field="x")
    assert 0.5 < result.score < 1
    assert '"big red dogs"' in result.feedback
    assert score(key, "b", ["a", "b"]) == 1


@pytest.mark.parametrize("key", ["token_f1", "rouge_l", "edit_similarity"])
def test_a_reference_that_is_no_text_is_an_error_and_an_output_is_0(key):
    with pytest.raises(MetricError, match="not a text"):
        score(key, "a", 3)
    assert score(key, 3, "a") == 0


def test_feedback_names_missing_and_extra_words():
    assert feedback("token_f1", "the red red dog", "a red cat") == (
        'x: got "the red red dog", expected "a red cat"; missing words: cat; '
        "words too many: dog, red"
    )
    assert feedback("rouge_l", "b a", "a b").endswith("the words stand in another order")


def test_metadata_holds_precision_and_recall():
    result = judge("token_f1", {"x": "cat"}, {"x": "cat sat"}, field="x")
    assert result.metadata == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


@pytest.mark.parametrize("case", GOLDEN, ids=range(len(GOLDEN)))
def test_rouge_l_is_that_of_the_reference_package(case):
    # The package gives two texts without any word 0; a right empty answer is right here.
    if not rouge_tokens(case["got"]) and not rouge_tokens(case["wanted"]):
        assert case["f1"] == 0
        return
    ours = judge("rouge_l", {"x": case["got"]}, {"x": case["wanted"]}, field="x")
    assert ours.score == pytest.approx(case["f1"], abs=1e-12)
    if rouge_tokens(case["got"]) and rouge_tokens(case["wanted"]):
        assert ours.metadata["precision"] == pytest.approx(case["precision"], abs=1e-12)
        assert ours.metadata["recall"] == pytest.approx(case["recall"], abs=1e-12)


@NO_DEADLINE
@given(WORDY, WORDY)
def test_rouge_l_is_the_longest_common_subsequence_by_its_definition(got, wanted):
    left, right = rouge_tokens(got), rouge_tokens(wanted)
    assume(left or right)
    lengths = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, word in enumerate(left):
        for j, other in enumerate(right):
            longest = max(lengths[i][j + 1], lengths[i + 1][j])
            lengths[i + 1][j + 1] = lengths[i][j] + 1 if word == other else longest
    f1 = 2 * lengths[-1][-1] / (len(left) + len(right))
    assert score("rouge_l", got, wanted) == pytest.approx(f1, abs=1e-12)


def test_rouge_l_golden_values():
    assert score("rouge_l", "the cat sat on the mat", "the cat is on the mat") == 5 / 6
    assert score("rouge_l", "mat the on sat cat the", "the cat sat on the mat") == 0.5


def test_rouge_l_counts_words_of_every_alphabet():
    assert score("rouge_l", "größer als", "größer") == pytest.approx(2 / 3)
    assert score("rouge_l", "猫", "犬") == 0


def test_edit_similarity_is_1_minus_the_share_of_edits():
    result = judge("edit_similarity", {"x": "kitten"}, {"x": "sitting"}, field="x")
    assert result.score == pytest.approx(1 - 3 / 7)
    assert result.feedback == 'x: got "kitten", expected "sitting": 3 edits apart'
    assert score("edit_similarity", "", "") == 1
    assert score("edit_similarity", "A ", "a", normalize=["strip", "casefold"]) == 1


@NO_DEADLINE
@given(ASCII, ASCII)
def test_edit_similarity_is_symmetric(left, right):
    assert score("edit_similarity", left, right) == score("edit_similarity", right, left)
