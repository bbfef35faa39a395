from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.reward import RewardSpec
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.metric_result import MetricResult
from dse_cli.evaluation.metrics import METRICS
from dse_cli.evaluation.reward import Reward


def reward_of(*signals: dict) -> Reward:
    return Reward(RewardSpec.model_validate({"signals": list(signals)}))


def row_of(expected: dict) -> Row:
    return Row("row-7", {"ticket": "hi"}, expected, "val")


QUEUE = reward_of({"format_validity": 0.2}, {"exact_match": {"field": "queue", "weight": 0.8}})
SIGNATURE = Signature(
    SignatureSpec.model_validate(
        {
            "dse": "signature/v1",
            "id": "@acme/support/Route.v1",
            "description": "d",
            "input": {"ticket": "string"},
            "output": {
                "queue": {"enum": ["billing", "other"]},
                "score": "number",
                "lines": {"type": "array", "items": {"type": "string"}},
            },
            "prompt": [{"instruction": "i"}],
        }
    ),
    {},
)


def test_the_reward_is_the_weighted_mean_of_its_signals():
    right = QUEUE.score({"queue": "billing"}, None, row_of({"queue": "billing"}))
    wrong = QUEUE.score({"queue": "other"}, None, row_of({"queue": "billing"}))
    assert (right.reward, wrong.reward) == (1.0, 0.2)
    assert [(s.id, s.score) for s in wrong.signals] == [
        ("format_validity", 1.0),
        ("exact_match:queue", 0.0),
    ]
    assert wrong.signals[1].feedback == 'queue: got "other", expected "billing"'


def test_an_answer_that_did_not_decode_scores_0_everywhere_and_says_why():
    error = CellError("decode", "not one of billing, other", "queue")
    scored = QUEUE.score(None, error, row_of({"queue": "billing"}))
    assert scored.reward == 0.0
    assert scored.error is error
    assert {signal.score for signal in scored.signals} == {0.0}
    assert {signal.feedback for signal in scored.signals} == {
        "the answer could not be read: queue: not one of billing, other"
    }


@pytest.mark.parametrize("output", [0, "", False, None, {}, []])
def test_a_falsy_output_is_scored_like_any_other(output):
    reward = reward_of({"format_validity": 1}, {"exact_match": 1})
    row = Row("r", {}, output, "val")
    assert reward.score(output, None, row).reward == 1.0


def test_a_metric_that_cannot_judge_is_an_outage_that_names_the_row():
    scored = QUEUE.score({"queue": "billing"}, None, row_of({}))
    assert scored.reward is None
    assert scored.signals == ()
    assert scored.error == CellError(
        "metric", "exact_match:queue failed on row 'row-7': expected has no field 'queue'"
    )


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "1", None, True])
def test_what_is_no_score_is_an_outage(monkeypatch, score):
    broken = METRICS["exact_match"]._replace(score=lambda *_: MetricResult(score))
    monkeypatch.setitem(METRICS, "exact_match", broken)
    scored = reward_of({"exact_match": 1}).score({}, None, row_of({}))
    assert scored.reward is None
    assert scored.error is not None
    assert "'row-7'" in scored.error.message


def test_a_metric_that_raises_anything_is_an_outage(monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setitem(METRICS, "regex", METRICS["regex"]._replace(score=broken))
    scored = reward_of({"regex": {"weight": 1, "field": "a", "pattern": "x"}}).score(
        {}, None, row_of({})
    )
    assert scored.error is not None
    assert scored.error.kind == "metric"
    assert "ZeroDivisionError" in scored.error.message


@given(
    st.lists(st.floats(1e-3, 1000), min_size=1, max_size=6),
    st.lists(st.floats(-0.5, 1.5), min_size=6, max_size=6),
)
def test_the_reward_stays_between_its_worst_and_best_signal(weights, scores):
    parts = [{"exact_match": {"weight": w, "field": f"f{i}"}} for i, w in enumerate(weights)]
    reward = reward_of(*parts)
    found = iter(scores)
    metric = METRICS["exact_match"]._replace(score=lambda *_: MetricResult(next(found)))
    reward._parts = tuple(part._replace(metric=metric) for part in reward._parts)
    scored = reward.score({}, None, row_of({}))
    clamped = [signal.score for signal in scored.signals]
    assert scored.reward is not None
    assert 0 <= min(clamped) <= max(clamped) <= 1
    assert min(clamped) - 1e-12 <= scored.reward <= max(clamped) + 1e-12
    assert 0 <= scored.reward <= 1


@given(st.lists(st.floats(1e-3, 1000), min_size=1, max_size=8))
def test_all_right_is_exactly_1_whatever_the_weights(weights):
    reward = reward_of(*({"exact_match": w} for w in weights))
    assert reward.score({"a": 1}, None, row_of({"a": 1})).reward == 1.0


def test_two_signals_of_one_metric_on_one_field_have_two_names():
    pattern = {"regex": {"weight": 1, "field": "a", "pattern": "x"}}
    assert reward_of(pattern, pattern).signal_ids == ("regex:a", "regex:a#2")


def test_the_hash_covers_weights_settings_and_metric_versions(monkeypatch):
    base = reward_of({"exact_match": {"weight": 0.8, "field": "q"}})
    same = reward_of({"exact_match": {"weight": 0.8, "field": "q", "normalize": []}})
    assert base.hash == same.hash
    assert base.hash != reward_of({"exact_match": {"weight": 0.7, "field": "q"}}).hash
    assert base.hash != reward_of({"exact_match": {"weight": 0.8, "field": "z"}}).hash
    assert base.hash != reward_of({"one_of": {"weight": 0.8, "field": "q"}}).hash
    newer = METRICS["exact_match"]._replace(id="exact_match.v2")
    monkeypatch.setitem(METRICS, "exact_match", newer)
    assert base.hash != reward_of({"exact_match": {"weight": 0.8, "field": "q"}}).hash


def test_a_bare_number_and_a_mapping_with_that_weight_are_one_reward():
    assert reward_of({"exact_match": 1}).hash == reward_of({"exact_match": {"weight": 1.0}}).hash


def test_loose_fields_are_those_that_list_their_expected_values():
    reward = reward_of(
        {"one_of": {"weight": 1, "field": "a"}},
        {"contains": {"weight": 1, "field": "b.c"}},
        {"exact_match": {"weight": 1, "field": "d"}},
    )
    assert reward.loose_fields == {"a", "b.c"}


def test_fields_that_the_output_does_not_have_are_found_with_the_nearest_name():
    problems = reward_of(
        {"format_validity": 1},
        {"exact_match": {"weight": 1, "field": "quue"}},
        {"exact_match": {"weight": 1, "field": "lines.0"}},
        {"exact_match": {"weight": 1, "field": "lines.0.sku"}},
    ).check(SIGNATURE)
    assert [(p.location, p.message) for p in problems] == [
        (("signals", 1, "exact_match", "field"), "the output has no field 'quue'"),
        (("signals", 3, "exact_match", "field"), "the output has no field 'lines.0.sku'"),
    ]
    assert problems[0].hint == "did you mean 'queue'?"


def test_metrics_are_refused_on_types_that_they_cannot_judge():
    problems = reward_of(
        {"numeric": {"weight": 1, "field": "queue"}},
        {"numeric": {"weight": 1, "field": "score"}},
        {"contains": {"weight": 1, "field": "lines"}},
        {"regex": {"weight": 1, "field": "score", "pattern": "1"}},
        {"contains": {"weight": 1, "field": "queue"}},
    ).check(SIGNATURE)
    assert [p.message for p in problems] == [
        "numeric needs a number, but 'queue' is of type string",
        "contains needs a text, but 'lines' is of type array",
        "regex needs a text, but 'score' is of type number",
    ]


def test_a_row_that_cannot_be_judged_is_found_before_anything_is_spent():
    reward = reward_of({"one_of": {"weight": 1, "field": "queue"}})
    assert reward.row_problem(row_of({"queue": ["a"]})) is None
    assert (
        reward.row_problem(row_of({"queue": []})) == "one_of:queue: expected.queue lists no value"
    )
