from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.demo_index import DemoIndex, embedded_text, make_index
from dse_cli.contracts.errors import AlteredError, IntegrityError, ProviderError
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.contracts.prompt_ir import Demo
from dse_cli.evaluation.candidate import Candidate
from dse_cli.lm.vectors import quantise, similarity, vector_text
from dse_cli.runtime.demo_selection import DemoSelection
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.runtime.policies import RIGHT, Desk, make_policy

EMBEDDER = "openai/embedder"
#: Tickets on a quarter circle, by how far they are turned.
TURNS = {"a": (1.0, 0.0), "b": (0.9, 0.3), "c": (0.6, 0.6), "d": (0.0, 1.0)}


def pool() -> list[Demo]:
    return [
        Demo(id=name, input={"ticket": name * 3}, output={"queue": "billing"}, source="labelled")
        for name in TURNS
    ]


def index_of(demos: list[Demo], **vectors: tuple[float, ...]) -> DemoIndex:
    known = {**TURNS, **vectors}
    return make_index(EMBEDDER, demos, [vector_text(quantise(known[demo.id])) for demo in demos])


def policy(k: int = 2, params: dict[str, Any] | None = None, **changes: Any) -> Policy:
    demos = pool()
    return make_policy(params, **changes).selecting(demos, k, index_of(demos))


def says(vector: tuple[float, ...], text: str = RIGHT) -> Any:
    def answer(request: LmRequest) -> LmResponse:
        if request.task == "embed":
            return LmResponse(vector_text(quantise(vector)), usage=Usage(3, 0, 1))
        return LmResponse(text, served_model="tiny-1", usage=Usage(20, 5, 10))

    return answer


def predict(desk: Desk, **how: Any) -> Prediction:
    return asyncio.run(desk.predictor.predict({"ticket": "x"}, path="p", **how))


def shown(request: LmRequest) -> list[str]:
    return [m.content[11] for m in request.messages[1:-1] if m.role == "user"]


# --- which demos --------------------------------------------------------------------------------


def test_the_nearest_are_shown_and_the_most_alike_stands_last() -> None:
    desk = Desk(says((1.0, 0.1)), policy(2))
    assert predict(desk).output == {"queue": "billing"}
    embed, ask = desk.requests
    assert (embed.path, embed.task, embed.messages[0].content) == ("p/step=embed", "embed", "x")
    assert embed.identity.model == EMBEDDER
    assert ask.path == "p/attempt=0"
    assert shown(ask) == ["b", "a"]


def test_another_input_is_shown_other_demos() -> None:
    desk = Desk(says((0.1, 1.0)), policy(3))
    predict(desk)
    assert shown(desk.requests[1]) == ["b", "c", "d"]


def test_demos_in_a_section_are_chosen_too() -> None:
    desk = Desk(says((0.1, 1.0)), policy(1, {"render": {"demos": "section"}}))
    predict(desk)
    system = desk.requests[1].messages[0].content
    assert '{"input":{"ticket":"ddd"}' in system
    assert "aaa" not in system
    assert len(desk.requests[1].messages) == 2


def test_of_two_that_are_equally_alike_the_smaller_id_is_nearer() -> None:
    demos = pool()
    same = index_of(demos, a=(1.0, 1.0), b=(1.0, 1.0), c=(1.0, 1.0), d=(1.0, 1.0))
    desk = Desk(says((0.3, 0.7)), make_policy().selecting(demos, 2, same))
    predict(desk)
    assert shown(desk.requests[1]) == ["b", "a"]


@given(st.integers(0, 10_000))
def test_the_choice_is_by_similarity_and_not_by_the_order_of_the_pool(seed: int) -> None:
    draw = random.Random(seed)
    demos = [
        Demo(id=f"d{n}", input={"ticket": f"{n}"}, output={"queue": "billing"}) for n in range(8)
    ]
    vectors = {d.id: quantise([draw.choice([-1, 0.5, 1]) for _ in range(3)]) for d in demos}
    query = quantise([draw.random() + 0.1, draw.random(), draw.random()])
    ranked = sorted(demos, key=lambda demo: (-similarity(query, vectors[demo.id]), demo.id))
    draw.shuffle(demos)
    index = make_index(EMBEDDER, demos, [vector_text(vectors[demo.id]) for demo in demos])
    made = make_policy().selecting(demos, 3, index)
    assert made.selector is not None
    chosen = DemoSelection(made, made.selector).nearest(LmResponse(vector_text(query)))
    assert [demo.id for demo in chosen] == [demo.id for demo in reversed(ranked[:3])]


def test_more_neighbours_than_the_pool_has_are_all_of_it() -> None:
    desk = Desk(says((1.0, 0.1)), policy(64))
    predict(desk)
    assert shown(desk.requests[1]) == ["d", "c", "b", "a"]


# --- what it costs ------------------------------------------------------------------------------


def test_the_embedding_is_charged_and_is_no_output() -> None:
    desk = Desk(says((1.0, 0.1)), policy(2, {"budgets": {"max_output_chars": len(RIGHT)}}))
    prediction = predict(desk)
    assert prediction.error is None
    usage = prediction.usage
    assert (usage.lm_calls, usage.prompt_tokens, usage.completion_tokens) == (2, 23, 5)
    assert usage.cost_nano_usd == 11
    assert prediction.served_model == "tiny-1"
    assert len(prediction.request_keys) == 2


def test_a_sample_of_the_answer_is_no_other_sample_of_the_embedding() -> None:
    desk = Desk(says((1.0, 0.1)), policy(2))
    predict(desk, rollout=3)
    assert [request.rollout for request in desk.requests] == [0, 3]


@pytest.mark.parametrize("layout", ["turns", "section"])
@pytest.mark.parametrize("limit", [None, 1, 2, 3])
def test_no_prediction_exceeds_its_bounds(layout: str, limit: int | None) -> None:
    budgets = {} if limit is None else {"budgets": {"max_lm_calls": limit}}
    made = policy(2, {"render": {"demos": layout}, "model": {"max_tokens": 9}, **budgets})

    def bytes_as_tokens(request: LmRequest) -> LmResponse:
        size = sum(len(message.content.encode()) for message in request.messages)
        if request.task == "embed":
            return LmResponse(vector_text(quantise((0.1, 1.0))), usage=Usage(size, 0, 0))
        return LmResponse("no JSON", usage=Usage(size, 9, 0))

    desk = Desk(bytes_as_tokens, made)
    usage = predict(desk).usage
    bound = desk.predictor.token_bound({"ticket": "x"})
    assert usage.total_tokens is not None
    assert bound is not None
    assert usage.total_tokens <= bound
    assert usage.lm_calls <= desk.predictor.call_bound()
    assert desk.predictor.call_bound() == (3 if limit is None else min(3, limit))


def test_a_budget_that_the_embedding_uses_up_ends_the_prediction() -> None:
    desk = Desk(says((1.0, 0.1)), policy(2, {"budgets": {"max_lm_calls": 1}}))
    assert predict(desk).error == CellError("budget", "max_lm_calls = 1 is used up")


def test_the_call_after_the_embedding_gets_what_is_left_of_the_time() -> None:
    now = [0.0]

    def slow(request: LmRequest) -> LmResponse:
        now[0] += 0.4
        found: LmResponse = says((1.0, 0.1))(request)
        return found

    made = policy(2, defaults={"constraints": {"timeout_ms": 1000}})
    desk = Desk(slow, made, clock=lambda: now[0])
    predict(desk)
    assert [request.timeout_s for request in desk.requests] == [1.0, pytest.approx(0.6)]


# --- what goes wrong ----------------------------------------------------------------------------


def test_an_outage_of_the_embedder_is_an_outage_of_the_prediction() -> None:
    desk = Desk(ProviderError("openai/embedder: no"), policy(2))
    error = predict(desk).error
    assert error == CellError("provider", "openai/embedder: no")
    assert len(desk.requests) == 1


@pytest.mark.parametrize("text", ["[127]", "hello", "[127,0,0]"])
def test_an_embedding_of_another_kind_than_the_index_is_an_outage(text: str) -> None:
    desk = Desk(text, policy(2))
    error = predict(desk).error
    assert error is not None
    assert error.kind == "provider"
    assert "does not belong to the index" in error.message


def test_a_policy_without_its_index_is_refused() -> None:
    with pytest.raises(IntegrityError, match="was not loaded"):
        Desk(RIGHT, Policy(policy().signature, policy().params))


def test_an_index_of_another_pool_is_refused() -> None:
    made, demos = policy(), pool()
    other = index_of(demos, a=(0.5, 0.5))
    with pytest.raises(AlteredError, match="its content has the hash"):
        Desk(RIGHT, Policy(made.signature, made.params, other))
    reordered = list(reversed(demos))
    with pytest.raises(AlteredError, match="not the demos of the policy"):
        Desk(RIGHT, make_policy().selecting(reordered, 2, index_of(demos)))


@pytest.mark.parametrize("texts", [["[127,1]"] * 3 + ["[127]"], ["[127,1]"] * 3 + ["[1,2]"]])
def test_vectors_that_are_none_are_refused(texts: list[str]) -> None:
    demos = pool()
    index = make_index(EMBEDDER, demos, texts)
    with pytest.raises(AlteredError, match="vector"):
        Desk(RIGHT, make_policy().selecting(demos, 2, index))


# --- what a policy is ---------------------------------------------------------------------------


def test_the_selector_and_the_index_decide_the_id_and_an_absent_one_nothing() -> None:
    demos = pool()
    static = make_policy({"few_shot": {"examples": [demo.to_json() for demo in demos]}})
    cleared = policy().patched({"few_shot": {"selector": None}})
    assert cleared.id == static.id
    assert "selector" not in static.params.to_json()["few_shot"]
    ids = {static.id, policy(2).id, policy(3).id}
    turned = make_policy().selecting(demos, 2, index_of(demos, a=(0.7, 0.7)))
    assert len(ids | {turned.id}) == 4
    assert cleared.index is None


def test_a_patch_keeps_the_index_and_every_demo_of_the_pool_counts_as_shown() -> None:
    made = policy(2).patched({"instruction": {"text": "Choose."}})
    assert made.index is not None
    assert made.models == (EMBEDDER, "openai/tiny")
    assert Candidate.of(made).shown == frozenset(TURNS)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"ticket": "hi"}, "hi"),
        ({"ticket": ""}, '{"ticket":""}'),
        ({"n": 1}, '{"n":1}'),
        ({"b": "x", "a": "y"}, '{"a":"y","b":"x"}'),
    ],
)
def test_one_text_stands_for_itself_and_anything_else_as_json(
    value: dict[str, Any], text: str
) -> None:
    assert embedded_text(value) == text
