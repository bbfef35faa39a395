from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.lm import LmResponse, ModelIdentity, Sampling, Usage
from dse_cli.lm.direct_wire import make_plan
from dse_cli.lm.litellm_transport import LiteLlmTransport
from dse_cli.lm.retry import RetryLayer
from dse_cli.lm.routes import Route, StaticRoutes
from tests.lm.calls import FakeTime, ask
from tests.lm.openai_server import CUT, HANG, OpenAiServer, Reply, answer, failure

KEY = "sk-test-0123456789abcdefghij"
SCHEMA = {"type": "object", "properties": {"queue": {"type": "string"}}, "required": ["queue"]}
#: Pydantic's remarks about LiteLLM's own types; ``load_litellm`` silences them outside of pytest.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
BOTH = pytest.mark.parametrize("direct", [True, False], ids=["direct", "acompletion"])


def call(
    server: OpenAiServer,
    direct: bool,
    *,
    model: str = "openai/tiny",
    times: int = 1,
    key: str | None = KEY,
    free: bool = False,
    seeded: bool = False,
    **request: Any,
) -> LmResponse:
    identity = ModelIdentity(model, server.base)
    route = Route(model, server.base, key, timeout_s=20, free=free, seeded=seeded)

    async def go() -> LmResponse:
        transport = LiteLlmTransport(StaticRoutes({identity: route}), direct=direct)
        try:
            for _ in range(times):
                response = await transport.complete(ask(identity=identity, **request))
            return response
        finally:
            await transport.aclose()

    return asyncio.run(go())


def error_of(server: OpenAiServer, direct: bool, **request: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        call(server, direct, **request)
    return caught.value


@BOTH
def test_an_answer_is_read_with_its_usage(server: OpenAiServer, direct: bool) -> None:
    response = call(server, direct)
    assert response == LmResponse("hello", "stop", response.served_model, Usage(11, 3, None))
    assert response.served_model.endswith("served-model")
    assert response.paid
    assert not response.scripted


@BOTH
def test_what_is_sent_is_the_request(server: OpenAiServer, direct: bool) -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9, max_tokens=30, seed=7)
    call(server, direct, sampling=sampling, schema=SCHEMA)
    (seen,) = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body.pop("stream", False) is False
    assert seen.body == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "You answer."},
            {"role": "user", "content": "hi"},
        ],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 30,
        "seed": 7,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
        },
    }


@BOTH
def test_parameters_that_are_none_are_not_sent(server: OpenAiServer, direct: bool) -> None:
    call(server, direct, sampling=Sampling())
    assert set(server.seen[0].body) - {"stream"} == {"model", "messages"}


def test_each_rollout_has_its_own_seed_where_a_model_draws_from_one(server: OpenAiServer) -> None:
    sampling = Sampling(temperature=1.0)
    for rollout in (0, 1, 2**32 + 4):
        call(server, True, sampling=sampling, rollout=rollout, seeded=True)
    call(server, True, sampling=Sampling(seed=7), rollout=1, seeded=True)
    call(server, True, sampling=sampling, rollout=1)
    # The seed of 2^32 - 1 would be chance, so seeds are taken modulo that.
    assert [seen.body.get("seed") for seen in server.seen] == [0, 1, 5, 7, None]


@BOTH
def test_a_key_of_the_environment_is_not_sent_to_a_named_endpoint(
    server: OpenAiServer, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    call(server, direct, key=None)
    assert KEY not in json.dumps(server.seen[0].headers)


@BOTH
def test_429_says_when_to_come_back(server: OpenAiServer, direct: bool) -> None:
    server.replies = [failure(429, "slow down", retry_after="7")]
    error = error_of(server, direct)
    assert (error.status, error.retryable, error.retry_after_s) == (429, True, 7.0)
    assert "slow down" in error.message
    assert len(server.seen) == 1, "the transport itself must not retry"


@BOTH
def test_an_exhausted_quota_is_not_retried(server: OpenAiServer, direct: bool) -> None:
    server.replies = [failure(429, "you have no money left", code="insufficient_quota")]
    assert not error_of(server, direct).retryable


@BOTH
@pytest.mark.parametrize(
    ("status", "retryable"), [(500, True), (503, True), (400, False), (404, False)]
)
def test_statuses_decide_what_is_retried(
    server: OpenAiServer, direct: bool, status: int, retryable: bool
) -> None:
    server.otherwise = lambda _: failure(status)
    error = error_of(server, direct)
    assert (error.status, error.retryable) == (status, retryable)
    assert len(server.seen) == 1


@BOTH
def test_a_refused_key_is_not_quoted(server: OpenAiServer, direct: bool) -> None:
    server.replies = [failure(401, f"Incorrect API key provided: {KEY}")]
    error = error_of(server, direct)
    assert error.status == 401
    assert not error.retryable
    assert KEY not in error.message
    assert "***" in error.message


@BOTH
@pytest.mark.parametrize(
    "body",
    [
        b"<html>not json</html>",
        b"[]",
        b'{"choices": []}',
        b'{"choices": "none"}',
        b'{"choices": [{"message": "hello"}], "model": "m"}',
        b'{"choices": [{"message": {"role": "assistant", "content": 7}}], "model": "m"}',
        b"\xff\xfe\x00",
    ],
)
def test_an_answer_of_another_shape_is_a_provider_error(
    server: OpenAiServer, direct: bool, body: bytes
) -> None:
    server.otherwise = lambda _: Reply(body)
    error_of(server, direct)


@BOTH
def test_a_cut_answer_may_be_retried(server: OpenAiServer, direct: bool) -> None:
    server.otherwise = lambda _: CUT
    assert error_of(server, direct).retryable


@BOTH
def test_nobody_listening_may_be_retried(direct: bool) -> None:
    with OpenAiServer().running() as gone:
        pass
    error = error_of(gone, direct)
    assert error.status is None
    assert error.retryable


@BOTH
def test_a_hanging_server_is_cut_off_by_the_hard_timeout(
    server: OpenAiServer, direct: bool
) -> None:
    server.otherwise = lambda _: HANG
    identity = ModelIdentity("openai/tiny", server.base)
    table = StaticRoutes({identity: Route("openai/tiny", server.base, KEY, 0.05, max_retries=1)})

    async def go() -> None:
        retrying = RetryLayer(
            LiteLlmTransport(table, direct=direct), 1, table.limits, sleep=FakeTime().sleep
        )
        try:
            with pytest.raises(CallTimeoutError, match=r"no answer within 0\.05 s"):
                await retrying.complete(ask(identity=identity))
        finally:
            await retrying.aclose()

    asyncio.run(go())
    assert len(server.seen) <= 2


@BOTH
def test_absent_usage_is_unknown_and_not_zero(server: OpenAiServer, direct: bool) -> None:
    server.replies = [answer("x", usage=None)]
    assert call(server, direct).usage == Usage(None, None, None)


@BOTH
def test_a_null_text_is_an_empty_answer_of_the_model(server: OpenAiServer, direct: bool) -> None:
    server.replies = [answer(None)]
    assert call(server, direct).text == ""


@BOTH
def test_a_known_model_has_a_price(server: OpenAiServer, direct: bool) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    server.replies = [answer("x", usage=usage)]
    response = call(server, direct, model="openai/gpt-4o-mini")
    assert response.usage.cost_nano_usd == 1000 * 150 + 10 * 600


@BOTH
def test_a_free_route_costs_nothing(server: OpenAiServer, direct: bool) -> None:
    assert call(server, direct, free=True).usage.cost_nano_usd == 0


@BOTH
def test_a_parameter_the_model_does_not_take_is_refused_before_it_is_sent(
    server: OpenAiServer, direct: bool
) -> None:
    error = error_of(server, direct, model="openai/o3-mini", sampling=Sampling(top_p=0.5))
    assert not error.retryable
    assert "top_p" in error.message
    assert not server.seen


@pytest.mark.parametrize(
    "model",
    ["openai/m", "hosted_vllm/m", "openai_like/m", "lm_studio/m", "llamafile/m", "deepseek/m"],
)
def test_compatible_providers_go_the_direct_way(model: str) -> None:
    plan = make_plan(Route(model, "http://127.0.0.1:1/v1", KEY), ask())
    assert plan is not None
    assert plan.url == "http://127.0.0.1:1/v1/chat/completions"
    assert plan.proxy is None


@pytest.mark.parametrize("model", ["anthropic/m", "ollama/m", "azure_ai/m", "mistral/m"])
def test_other_providers_go_through_litellm(model: str) -> None:
    assert make_plan(Route(model, "http://127.0.0.1:1/v1", KEY), ask()) is None


def test_a_schema_that_litellm_emulates_goes_through_litellm() -> None:
    route = Route("groq/m", "http://127.0.0.1:1/v1", KEY)
    assert make_plan(route, ask(schema=SCHEMA)) is None


def test_a_redirect_is_not_followed_with_the_key(server: OpenAiServer) -> None:
    server.otherwise = lambda _: Reply(b"{}", 307, {"location": server.base + "/elsewhere"})
    assert error_of(server, True).status == 307
    assert len(server.seen) == 1


def test_connections_are_used_again(server: OpenAiServer) -> None:
    ports: set[str] = set()
    assert call(server, True, times=5).text == "hello"
    ports.update(seen.headers["host"] for seen in server.seen)
    assert len(server.seen) == 5
    assert len(ports) == 1


def test_a_key_never_shows_in_the_repr_of_a_route() -> None:
    assert KEY not in repr(Route("openai/m", api_key=KEY))
