from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.errors import (
    CallTimeoutError,
    DivergenceError,
    ModelUnavailableError,
    ProviderError,
    UsageError,
)
from dse_cli.contracts.evaluation import CellUsage
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.runtime.prediction import Prediction, UsageTally
from tests.lm.calls import FakeTime
from tests.runtime.policies import RIGHT, Desk, make_policy

TICKET = {"ticket": "Charged twice"}


def predict(desk: Desk, value: dict[str, Any] = TICKET, **options: Any) -> Prediction:
    return asyncio.run(desk.predictor.predict(value, **options))


def said(
    text: str, prompt: int | None = 10, completion: int | None = 2, cost: int | None = 5
) -> LmResponse:
    return LmResponse(text, "stop", "tiny-1", Usage(prompt, completion, cost))


# --- answers and repairs ------------------------------------------------------------------------


def test_a_good_answer_is_one_call() -> None:
    desk = Desk([said(RIGHT)])
    prediction = predict(desk, path="cand=1/ex=2", rollout=3)
    assert prediction.output == {"queue": "billing"}
    assert prediction.error is None
    assert prediction.usage == CellUsage(1, 0, 10, 2, 5)
    (request,) = desk.requests
    assert (request.path, request.rollout) == ("cand=1/ex=2/attempt=0", 3)
    assert prediction.request_keys == (request.key,)
    assert prediction.served_model == "tiny-1"


def test_a_repair_tells_the_model_its_answer_the_field_and_why() -> None:
    desk = Desk([said('{"queue":"sales"}'), said(RIGHT)])
    prediction = predict(desk)
    assert prediction.output == {"queue": "billing"}
    assert prediction.usage == CellUsage(2, 1, 20, 4, 10)
    first, second = desk.requests
    assert second.path == "predict/attempt=1"
    assert second.messages[:-2] == first.messages
    assert second.messages[-2].role == "assistant"
    assert second.messages[-2].content == '{"queue":"sales"}'
    assert second.messages[-1].role == "user"
    assert 'queue: "sales" is not one of "billing" or "other"' in second.messages[-1].content


def test_exhausted_repairs_are_a_decode_error_of_the_last_answer() -> None:
    desk = Desk(["no", '{"queue":"sales"}', RIGHT])
    prediction = predict(desk)
    assert prediction.output is None
    assert prediction.error is not None
    assert (prediction.error.kind, prediction.error.field) == ("decode", "queue")
    assert prediction.usage.lm_calls == 2
    assert prediction.text == '{"queue":"sales"}'
    assert len(desk.requests) == 2


@pytest.mark.parametrize("repairs", [0, 1, 3])
def test_no_more_repairs_are_made_than_the_policy_allows(repairs: int) -> None:
    desk = Desk("no", make_policy({"decode": {"max_repairs": repairs}}))
    prediction = predict(desk)
    assert len(desk.requests) == 1 + repairs
    assert (prediction.usage.lm_calls, prediction.usage.repairs) == (1 + repairs, repairs)


def test_repairs_go_to_the_model_of_that_role() -> None:
    roles = {"repair": {"model": "openai/fixer", "temperature": 0.5}}
    desk = Desk(["no", RIGHT], make_policy({"model_roles": roles}))
    predict(desk)
    assert [r.identity.model for r in desk.requests] == ["openai/tiny", "openai/fixer"]
    assert [r.sampling.temperature for r in desk.requests] == [0.0, 0.5]


def test_the_schema_is_sent_in_native_mode_only() -> None:
    native = Desk(RIGHT, make_policy({"decode": {"mode": "native_schema"}}))
    predict(native)
    schema = native.requests[0].response_schema
    assert schema == native.predictor.policy.signature.output_schema
    for mode in ("jsonish", "strict_json"):
        desk = Desk(RIGHT, make_policy({"decode": {"mode": mode}}))
        predict(desk)
        assert desk.requests[0].response_schema is None


# --- budgets ------------------------------------------------------------------------------------


def budget_error(desk: Desk) -> str:
    prediction = predict(desk)
    assert prediction.output is None
    assert prediction.error is not None
    assert prediction.error.kind == "budget"
    return prediction.error.message


def test_a_budget_of_no_calls_makes_none() -> None:
    desk = Desk(RIGHT, make_policy({"budgets": {"max_lm_calls": 0}}))
    assert "max_lm_calls = 0" in budget_error(desk)
    assert desk.requests == []
    assert desk.predictor.call_bound() == 0
    assert desk.predictor.token_bound(TICKET) in (0, None)


def test_a_budget_of_one_call_leaves_a_bad_answer_the_policys_fault() -> None:
    desk = Desk("no", make_policy({"budgets": {"max_lm_calls": 1}, "decode": {"max_repairs": 3}}))
    prediction = predict(desk)
    assert prediction.error is not None
    assert prediction.error.kind == "decode"
    assert len(desk.requests) == 1


@pytest.mark.parametrize(
    ("budgets", "answer", "words"),
    [
        ({"max_tokens": 11}, said(RIGHT, 10, 2), "12 tokens, max_tokens = 11"),
        ({"max_tokens": 11}, said(RIGHT, None, 2), "no usage"),
        ({"max_output_chars": 5}, said(RIGHT), "max_output_chars = 5"),
        ({"max_cost_usd": 0.000000004}, said(RIGHT, cost=5), "max_cost_usd"),
        ({"max_cost_usd": 0.5}, said(RIGHT, cost=None), "no price"),
    ],
)
def test_each_budget_is_enforced(budgets, answer, words) -> None:
    assert words in budget_error(Desk([answer], make_policy({"budgets": budgets})))


@pytest.mark.parametrize(
    "budgets",
    [{"max_tokens": 12}, {"max_output_chars": len(RIGHT)}, {"max_cost_usd": 0.000000005}],
)
def test_a_budget_that_is_just_enough_is_enough(budgets) -> None:
    desk = Desk([said(RIGHT, 10, 2, 5)], make_policy({"budgets": budgets}))
    assert predict(desk).output == {"queue": "billing"}


def test_budgets_add_up_over_repairs() -> None:
    desk = Desk([said("no"), said(RIGHT)], make_policy({"budgets": {"max_tokens": 23}}))
    assert "24 tokens" in budget_error(desk)


# --- time ---------------------------------------------------------------------------------------


def slow(desk_time: FakeTime, seconds: float, text: str) -> Callable[[LmRequest], LmResponse]:
    def answer(_: LmRequest) -> LmResponse:
        desk_time.now += seconds
        return said(text)

    return answer


def test_a_call_may_take_what_is_left_of_the_limit() -> None:
    time = FakeTime()
    policy = make_policy(
        {"decode": {"max_repairs": 2}}, defaults={"constraints": {"timeout_ms": 20_000}}
    )
    desk = Desk(slow(time, 12.0, "no"), policy, clock=time.clock)
    predict(desk)
    assert [request.timeout_s for request in desk.requests] == [20.0, 8.0, 0.0]


def test_without_a_limit_calls_have_none() -> None:
    desk = Desk(RIGHT)
    predict(desk)
    assert desk.requests[0].timeout_s is None


@pytest.mark.parametrize(
    ("budget_ms", "constraint_ms", "limit_s", "kind"),
    [(500, 1000, 0.5, "budget"), (1000, 500, 0.5, "timeout"), (None, 500, 0.5, "timeout"),
     (500, None, 0.5, "budget")],
)  # fmt: skip
def test_the_tighter_limit_holds_and_says_whose_it_was(budget_ms, constraint_ms, limit_s, kind):
    time = FakeTime()
    params = {"budgets": {"max_time_ms": budget_ms}}
    constraints = {} if constraint_ms is None else {"timeout_ms": constraint_ms}

    def answer(request: LmRequest) -> Exception:
        assert request.timeout_s == limit_s
        time.now += limit_s
        return CallTimeoutError("late")

    policy = make_policy(params, defaults={"constraints": constraints})
    prediction = predict(Desk(answer, policy, clock=time.clock))
    assert prediction.error is not None
    assert prediction.error.kind == kind


def test_equal_calls_have_equal_limits_so_that_they_can_be_shared() -> None:
    time = FakeTime()
    policy = make_policy(defaults={"constraints": {"timeout_ms": 1000}})
    desk = Desk(slow(time, 0.125, RIGHT), policy, clock=time.clock)
    predict(desk)
    predict(desk)
    assert len({(request.key, request.timeout_s) for request in desk.requests}) == 1


# --- the world fails ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ProviderError("down", status=500), "provider"), (CallTimeoutError("late"), "timeout")],
)
def test_an_error_of_the_provider_is_an_outage_that_counts_as_a_call(error, kind) -> None:
    prediction = predict(Desk(error))
    assert prediction.output is None
    assert prediction.error is not None
    assert (prediction.error.kind, prediction.error.message) == (kind, error.message)
    assert prediction.usage.lm_calls == 1
    assert prediction.request_keys == ()


def test_an_outage_during_a_repair_keeps_what_was_used_before() -> None:
    prediction = predict(Desk([said("no"), ProviderError("down")]))
    assert prediction.error is not None
    assert prediction.error.kind == "provider"
    assert prediction.usage == CellUsage(2, 1, 10, 2, 5)


@pytest.mark.parametrize(
    "error", [ModelUnavailableError("no key"), DivergenceError("other", path="p")]
)
def test_what_ends_a_run_is_not_swallowed(error) -> None:
    with pytest.raises(type(error)):
        predict(Desk(error))


def test_a_scripted_answer_marks_the_prediction_even_when_a_repair_was_real() -> None:
    scripted = LmResponse("no", usage=Usage(1, 1, 0), scripted=True)
    prediction = predict(Desk([scripted, said(RIGHT)]))
    assert prediction.output == {"queue": "billing"}
    assert prediction.scripted


def test_unknown_usage_of_one_call_makes_the_sum_unknown() -> None:
    prediction = predict(Desk([said("no", None), said(RIGHT)]))
    assert prediction.usage.prompt_tokens is None
    assert prediction.usage.completion_tokens == 4
    assert prediction.usage.total_tokens is None


def test_a_cancelled_prediction_leaves_its_count_of_calls_with_the_caller() -> None:
    async def go() -> UsageTally:
        desk = Desk([said("no")])
        tally, reached = UsageTally(), asyncio.Event()
        answer = desk.transport.complete

        async def complete(request: LmRequest) -> LmResponse:
            if len(desk.requests) == 1:
                reached.set()
                await asyncio.Event().wait()
            return await answer(request)

        desk.transport.complete = complete  # type: ignore[method-assign]
        task = asyncio.create_task(desk.predictor.predict(TICKET, tally=tally))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return tally

    tally = asyncio.run(go())
    assert (tally.lm_calls, tally.repairs, len(tally.request_keys)) == (2, 1, 1)


# --- what is refused ----------------------------------------------------------------------------


def test_a_policy_with_tools_is_refused() -> None:
    tool = {"name": "t", "description": "d", "input": {"a": "string"}, "run": "python:tools.t"}
    prompt = [{"instruction": "Go."}, {"tool_policy": {"allowed": ["t"]}}]
    with pytest.raises(UsageError, match="runs no tools") as caught:
        Desk(RIGHT, make_policy(tools=[tool], prompt=prompt))
    assert "t" in caught.value.message
    none = [{"instruction": "Go."}, {"tool_policy": {"allowed": []}}]
    assert predict(Desk(RIGHT, make_policy(tools=[tool], prompt=none))).output


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({}, "ticket"),
        ({"ticket": 7}, "ticket does not fit"),
        ({"ticket": "x", "more": 1}, "more"),
        ({"ticket": "\ud800"}, "exact JSON form"),
        ({"ticket": "x", "more": 2**60}, "exact JSON form"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_before_any_call(value, words) -> None:
    desk = Desk(RIGHT)
    with pytest.raises(UsageError) as caught:
        predict(desk, value)
    assert words in caught.value.message
    assert desk.requests == []


# --- bounds -------------------------------------------------------------------------------------

OVERHEAD = 16


def byte_tokens(request: LmRequest) -> int:
    """The most tokens that a prompt can have: one a byte, and a few for each message."""
    schema = request.response_schema
    enforced = 0 if schema is None else len(json.dumps(schema, separators=(",", ":")).encode())
    return enforced + sum(len(m.content.encode()) + OVERHEAD for m in request.messages)


answers = st.one_of(
    st.sampled_from([RIGHT, "{", '{"queue":"\u0001"}', "\x00" * 300, "\U0001f600" * 80]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=120),
    st.lists(st.sampled_from("abcdefgh"), max_size=12).map(
        lambda keys: json.dumps(dict.fromkeys(keys, "😀"))
    ),
)


@settings(deadline=None, max_examples=120, derandomize=True)
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.lists(answers, min_size=6, max_size=6),
    st.integers(1, 400),
    st.integers(0, 5),
    st.sampled_from(["jsonish", "strict_json", "native_schema"]),
    st.sampled_from(["turns", "section"]),
)
def test_no_prediction_uses_more_than_its_bound(ticket, texts, cap, repairs, mode, layout) -> None:
    demo = {"id": "a", "input": {"ticket": "é"}, "output": {"queue": "other"}}
    policy = make_policy(
        {
            "model": {"max_tokens": cap},
            "decode": {"max_repairs": repairs, "mode": mode},
            "few_shot": {"examples": [demo]},
            "render": {"demos": layout},
        }
    )

    def answer(request: LmRequest) -> LmResponse:
        text = texts[len(desk.requests) - 1].encode()[:cap].decode(errors="ignore")
        return LmResponse(text, usage=Usage(byte_tokens(request), len(text.encode()), 0))

    desk = Desk(answer, policy)
    prediction = predict(desk, {"ticket": ticket})
    bound = desk.predictor.token_bound({"ticket": ticket})
    assert bound is not None
    assert prediction.usage.total_tokens is not None
    assert prediction.usage.total_tokens <= bound
    assert prediction.usage.lm_calls <= desk.predictor.call_bound()


def test_answers_without_a_cap_are_unbounded() -> None:
    assert Desk(RIGHT).predictor.token_bound(TICKET) is None
    capped = make_policy({"model": {"max_tokens": 5}})
    assert Desk(RIGHT, capped).predictor.token_bound(TICKET) is not None


def test_calls_that_the_budget_forbids_are_not_in_the_bound() -> None:
    params: dict[str, Any] = {"model": {"max_tokens": 5}, "decode": {"max_repairs": 5}}
    many = Desk(RIGHT, make_policy(params)).predictor.token_bound(TICKET)
    one = Desk(RIGHT, make_policy({**params, "budgets": {"max_lm_calls": 1}}))
    few = one.predictor.token_bound(TICKET)
    assert many is not None
    assert few is not None
    assert few < many
