from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import CellError, CellUsage
from dse_cli.contracts.reward import RewardSpec
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.metric_result import MetricResult
from dse_cli.evaluation.metrics import METRICS
from dse_cli.evaluation.rewards.reward import Reward


def reward_of(*signals: dict, penalties: list[dict] | None = None) -> Reward:
    return Reward(
        RewardSpec.model_validate({"signals": list(signals), "penalties": penalties or []})
    )


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


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "1", None, True, 1.2, -0.1])
def test_what_is_no_score_is_an_outage_that_says_what_it_is(monkeypatch, score):
    broken = METRICS["exact_match"]._replace(score=lambda *_: MetricResult(score))
    monkeypatch.setitem(METRICS, "exact_match", broken)
    scored = reward_of({"exact_match": 1}).score({}, None, row_of({}))
    assert scored.reward is None
    assert scored.error is not None
    assert scored.error.kind == "metric"
    assert f"failed on row 'row-7': the score is {score!r}" in scored.error.message


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
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
)
def test_the_reward_stays_between_its_worst_and_best_signal(weights, scores):
    parts = [{"exact_match": {"weight": w, "field": f"f{i}"}} for i, w in enumerate(weights)]
    reward = reward_of(*parts)
    found = iter(scores)
    reward._parts = tuple(
        part._replace(score=lambda *_: MetricResult(next(found))) for part in reward._parts
    )
    scored = reward.score({}, None, row_of({}))
    given_ = [signal.score for signal in scored.signals]
    assert given_ == scores[: len(weights)]
    assert scored.reward is not None
    assert min(given_) - 1e-12 <= scored.reward <= max(given_) + 1e-12
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


# --- hashes -------------------------------------------------------------------------------------


def test_the_hashes_of_rewards_that_were_published_do_not_change():
    assert QUEUE.hash == "sha256:bc82995dd97492fa8edd4539b534feed8ad9123f09fe52f8ed1efe3c0e6f7be5"
    tool = reward_of({"exact_match": {"field": "tool", "weight": 1.0}})
    assert tool.hash == "sha256:1acf9e9416146cc2b2dda08ead7505513c3c5c63712d8d0138b4a0ab30c5bae9"


def test_penalties_are_part_of_the_hash():
    plain = reward_of({"exact_match": 1})
    short = reward_of({"exact_match": 1}, penalties=[{"length": {"target": 10, "limit": 20}}])
    longer = reward_of({"exact_match": 1}, penalties=[{"length": {"target": 10, "limit": 21}}])
    assert len({plain.hash, short.hash, longer.hash}) == 3


# --- penalties ----------------------------------------------------------------------------------

ONE_TEXT = reward_of(
    {"exact_match": 1}, penalties=[{"length": {"field": "t", "target": 4, "limit": 8}}]
)


@pytest.mark.parametrize(
    ("text", "penalty", "reward"),
    [("", 0, 1), ("abcd", 0, 1), ("abcdef", 0.5, 0.75), ("abcdefgh", 1, 0.5), ("a" * 99, 1, 0.5)],
)
def test_a_penalty_is_linear_between_target_and_limit_and_takes_half_at_most(text, penalty, reward):
    scored = ONE_TEXT.score({"t": text}, None, row_of({"t": text}))
    assert (scored.quality, scored.penalty, scored.reward) == (1, penalty, reward)
    assert bool(scored.penalty_feedback) == bool(penalty)


def test_a_failure_earns_nothing_from_being_cheap():
    assert ONE_TEXT.score({"t": ""}, None, row_of({"t": "x"})).reward == 0
    undecoded = ONE_TEXT.score(None, CellError("decode", "no"), row_of({"t": "x"}))
    assert (undecoded.reward, undecoded.quality, undecoded.penalty) == (0, 0, 0)


def test_the_greatest_penalty_counts_and_each_one_over_its_target_is_told():
    reward = reward_of(
        {"exact_match": 1},
        penalties=[
            {"tokens": {"target": 100, "limit": 200}},
            {"calls": {"target": 1, "limit": 5}},
            {"cost": {"target_usd": 0.001, "limit_usd": 0.002}},
            {"length": {"target": 100, "limit": 200}},
        ],
    )
    usage = CellUsage(lm_calls=2, prompt_tokens=120, completion_tokens=30, cost_nano_usd=1_100_000)
    scored = reward.score({}, None, row_of({}), usage=usage)
    assert scored.penalty == 0.5
    assert scored.reward == 0.75
    assert scored.penalty_feedback == (
        "tokens: 150 tokens, target 100, limit 200; calls: 2 calls, target 1, limit 5; "
        "cost: 0.0011 US dollars, target 0.001, limit 0.002"
    )


@pytest.mark.parametrize(
    ("penalty", "usage"),
    [
        ({"tokens": {"target": 1, "limit": 2}}, CellUsage(prompt_tokens=None)),
        ({"tokens": {"target": 1, "limit": 2}}, None),
        ({"cost": {"target_usd": 0, "limit_usd": 1}}, CellUsage(cost_nano_usd=None)),
        ({"calls": {"target": 1, "limit": 2}}, None),
        ({"latency": {"target_ms": 1, "limit_ms": 2}}, CellUsage()),
    ],
)
def test_unknown_usage_is_an_error_and_neither_free_nor_0(penalty, usage):
    scored = reward_of({"exact_match": 1}, penalties=[penalty]).score(
        {}, None, row_of({}), usage=usage
    )
    assert scored.reward is None
    assert scored.error is not None
    assert scored.error.kind == "metric"
    assert "penalties failed on row 'row-7': the " in scored.error.message


def test_latency_is_that_of_the_recorded_calls():
    reward = reward_of(
        {"exact_match": 1}, penalties=[{"latency": {"target_ms": 100, "limit_ms": 300}}]
    )
    assert reward.needs_latency
    scored = reward.score({}, None, row_of({}), usage=CellUsage(latency_ms=150))
    assert (scored.penalty, scored.reward) == (0.25, 0.875)
    assert scored.penalty_feedback == "latency: 150 ms, target 100, limit 300"
    assert not ONE_TEXT.needs_latency


def test_the_length_of_a_whole_output_is_that_of_its_canonical_json():
    reward = reward_of({"exact_match": 1}, penalties=[{"length": {"target": 0, "limit": 20}}])
    scored = reward.score({"a": "é"}, None, row_of({"a": "é"}))
    assert scored.penalty == len('{"a":"é"}') / 20


@given(
    st.integers(0, 300),
    st.integers(0, 100),
    st.integers(1, 100),
    st.floats(0, 1),
)
def test_a_penalty_only_discounts_and_by_half_at_most(tokens, target, span, quality):
    reward = reward_of(
        {"exact_match": 1}, penalties=[{"tokens": {"target": target, "limit": target + span}}]
    )
    reward._parts = tuple(
        part._replace(score=lambda *_: MetricResult(quality)) for part in reward._parts
    )
    scored = reward.score({}, None, row_of({}), usage=CellUsage(prompt_tokens=tokens))
    assert scored.reward is not None
    assert quality / 2 <= scored.reward <= quality
    assert 0 <= scored.penalty <= 1


def test_a_penalty_on_a_field_that_is_not_there_is_found_with_the_nearest_name():
    [problem] = reward_of(
        {"format_validity": 1},
        penalties=[{"length": {"field": "quue", "target": 1, "limit": 2}}],
    ).check(SIGNATURE)
    assert problem.location == ("penalties", 0, "length", "field")
    assert problem.hint == "did you mean 'queue'?"


# --- judges -------------------------------------------------------------------------------------

JUDGED = reward_of(
    {"exact_match": {"weight": 1, "field": "queue"}},
    {"judge": {"weight": 1, "signature": "j", "inputs": {"a": "output"}, "score": "s"}},
)


def test_the_score_of_a_judge_is_the_verdict_passed_in():
    assert [index for index, _ in JUDGED.judges] == [1]
    verdicts = {1: MetricResult(0.5, "vague")}
    scored = JUDGED.score({"queue": "a"}, None, row_of({"queue": "a"}), verdicts=verdicts)
    assert scored.reward == 0.75
    assert scored.signals[1].feedback == "vague"


def test_a_judge_that_was_not_asked_is_an_error_and_not_a_0():
    scored = JUDGED.score({"queue": "a"}, None, row_of({"queue": "a"}))
    assert scored.reward is None
    assert scored.error is not None
    assert scored.error.kind == "metric"


def test_no_verdict_is_needed_where_there_is_nothing_to_judge():
    error = CellError("decode", "no")
    assert JUDGED.score(None, error, row_of({"queue": "a"})).reward == 0
    assert JUDGED.row_problem(row_of({"queue": "a"})) is None


# --- fields of several kinds --------------------------------------------------------------------


def test_every_field_that_a_metric_names_is_looked_up():
    problems = reward_of(
        {"structured": {"weight": 1, "fields": {"queue": 1, "scroe": 1}}},
        {"evidence": {"weight": 1, "quote": "queue", "cites": "lien", "sources": "tickt"}},
        {"classification": {"weight": 1, "field": "queue", "labels": ["biling", "other"]}},
        {"set_match": {"weight": 1, "field": "queue"}},
        {"forbidden": {"weight": 1, "field": "queue", "expected": "not", "texts": ["a"]}},
    ).check(SIGNATURE)
    assert [(p.location, p.message, p.hint) for p in problems] == [
        (
            ("signals", 0, "structured", "fields", "scroe"),
            "the output has no field 'scroe'",
            "did you mean 'score'?",
        ),
        (
            ("signals", 1, "evidence", "cites"),
            "the output has no field 'lien'",
            "did you mean 'lines'?",
        ),
        (
            ("signals", 1, "evidence", "sources"),
            "the input has no field 'tickt'",
            "did you mean 'ticket'?",
        ),
        (
            ("signals", 2, "classification", "labels", 0),
            "'queue' can never be 'biling'",
            "did you mean 'billing'?",
        ),
        (
            ("signals", 3, "set_match", "field"),
            "set_match needs a list, but 'queue' is of type string",
            "use exact_match for this field",
        ),
    ]
