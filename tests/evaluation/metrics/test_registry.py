from __future__ import annotations

import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.reward import Signal
from dse_cli.evaluation.metric_result import MetricError, MetricScoreError, checked_score
from dse_cli.evaluation.metrics import EXTERNAL, METRICS
from tests.evaluation.metrics.scoring import NO_DEADLINE, judge

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "b", "id"]), inner)
    ),
    max_leaves=8,
)
TEXTS = st.text(st.sampled_from("ab ABthe,.é1-"), max_size=12)
WORDS = TEXTS.filter(str.strip)
#: For each metric: settings, and expected values of the field ``x`` that it can judge.
CASES: dict[str, tuple[dict[str, object], st.SearchStrategy[object]]] = {
    "format_validity": ({}, JSON),
    "exact_match": ({"field": "x", "normalize": ["strip", "casefold"]}, JSON),
    "one_of": ({"field": "x"}, st.lists(JSON, min_size=1, max_size=3)),
    "contains": ({"field": "x"}, WORDS),
    "forbidden": ({"field": "x", "texts": ["q", "z"]}, TEXTS),
    "regex": ({"field": "x", "pattern": ".*"}, WORDS),
    "numeric": ({"field": "x", "rel_tolerance": 0.1}, st.floats(-1e9, 1e9)),
    "number": ({"field": "x"}, st.floats(-1e9, 1e9) | st.integers(-(10**9), 10**9).map(str)),
    "date": ({"field": "x"}, st.dates().map(str)),
    "set_match": ({"field": "x"}, st.lists(JSON, max_size=4)),
    "token_f1": ({"field": "x"}, TEXTS),
    "rouge_l": ({"field": "x"}, TEXTS),
    "edit_similarity": ({"field": "x"}, TEXTS),
    "json_schema": ({"field": "x", "schema": {}}, JSON),
    "structured": ({"fields": {"x": 2}}, JSON),
    "list_match": ({"field": "x"}, st.lists(JSON, max_size=4)),
    "classification": ({"field": "x"}, JSON),
    "retrieval": ({"field": "x", "measure": "ndcg"}, st.lists(JSON, max_size=4)),
    "evidence": ({"quote": "x", "sources": "text"}, st.just("a quote")),
}


def test_every_metric_has_an_id_with_a_version():
    ids = {key: metric.id for key, metric in METRICS.items()}
    ids |= {key: identifier for key, (identifier, _) in EXTERNAL.items()}
    assert ids == {key: f"{key}.v1" for key in ids}


def test_every_metric_can_stand_in_a_reward_under_its_key_with_its_settings():
    union = get_args(get_args(Signal)[0])
    found = {}
    for branch in union:
        [(key, info)] = get_args(branch)[0].model_fields.items()
        found[key] = info.annotation
    configs = {key: metric.config for key, metric in METRICS.items()}
    assert found == configs | {key: config for key, (_, config) in EXTERNAL.items()}


def test_every_metric_has_a_case_here():
    assert set(CASES) == set(METRICS)


@pytest.mark.parametrize("key", sorted(CASES))
@NO_DEADLINE
@given(data=st.data())
def test_the_expected_output_itself_scores_1_without_feedback(key, data):
    settings, values = CASES[key]
    value = data.draw(values)
    output = value[0] if key == "one_of" else value
    given_ = {"text": "here is a quote."}
    result = judge(key, {"x": output}, {"x": value}, given_, **settings)
    assert result[:2] == (1.0, "")


@pytest.mark.parametrize("key", sorted(CASES))
@NO_DEADLINE
@given(data=st.data())
def test_any_output_has_a_score_and_a_score_below_1_has_feedback(key, data):
    settings, values = CASES[key]
    output = {"x": data.draw(values | JSON)} if data.draw(st.booleans()) else {}
    result = judge(key, output, {"x": data.draw(values)}, {"text": "a quote"}, **settings)
    assert checked_score(result.score) == result.score
    assert (result.score < 1) == bool(result.feedback)
    assert not re.search(r"0x[0-9a-f]{6}|<\w+ object", result.feedback)


@pytest.mark.parametrize("key", sorted(set(CASES) - {"format_validity", "regex", "json_schema"}))
def test_a_row_without_what_the_metric_reads_is_an_error_and_not_a_0(key):
    settings = CASES[key][0]
    if key == "exact_match":
        settings = {"field": "x"}
    if key == "forbidden":
        settings = {"field": "x", "expected": "x"}
    with pytest.raises(MetricError):
        judge(key, {"x": "a"}, {}, {}, **settings)


@pytest.mark.parametrize("value", [0, "", False, None, [], {}])
def test_a_falsy_output_is_an_output(value):
    assert judge("format_validity", value, {}).score == 1
    assert judge("exact_match", value, value).score == 1
    for key, settings in (
        ("exact_match", {"field": "x"}),
        ("classification", {"field": "x"}),
        ("structured", {"fields": {"x": 1}}),
        ("json_schema", {"field": "x", "schema": {}}),
    ):
        assert judge(key, {"x": value}, {"x": value}, **settings).score == 1
    assert judge("one_of", {"x": value}, {"x": [value, "z"]}, field="x").score == 1


@pytest.mark.parametrize("key", ["set_match", "list_match", "token_f1", "rouge_l", "structured"])
@NO_DEADLINE
@given(data=st.data())
def test_f1_is_the_same_with_both_sides_swapped(key, data):
    settings, values = CASES[key]
    left, right = data.draw(values), data.draw(values)
    forth = judge(key, {"x": left}, {"x": right}, **settings).score
    back = judge(key, {"x": right}, {"x": left}, **settings).score
    assert forth == back


@pytest.mark.parametrize("score", [1.2, -0.1, float("nan"), float("inf"), True, "good", None])
def test_what_is_no_score_is_refused_with_what_it_is(score):
    with pytest.raises(MetricScoreError, match=re.escape(repr(score))):
        checked_score(score)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        ([1], "the score is of type list; expected a number"),
        (object(), "the score is of type object; expected a number"),
        ("x" * 200, "the score is of type str; expected a number"),
        (10**400, "the score is an integer beyond 1e+15; expected a number from 0 to 1"),
        (-(10**5000), "the score is an integer beyond 1e+15; expected a number from 0 to 1"),
    ],
    ids=["list", "object", "long text", "no float", "no message"],
)
def test_a_value_without_a_short_name_is_refused_by_its_type(score, words):
    # No memory address: what is said of a row is the same in every process.
    with pytest.raises(MetricScoreError) as refused:
        checked_score(score)
    assert str(refused.value) == words


def test_a_whole_number_is_a_score():
    assert [checked_score(value) for value in (0, 1, 0.25)] == [0.0, 1.0, 0.25]
