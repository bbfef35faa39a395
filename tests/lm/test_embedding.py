"""Embeddings over real HTTP, and through every layer of the gateway."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.canonical import sha256_of
from dse_cli.contracts.errors import AlteredError, ModelUnavailableError, ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse, Message, ModelIdentity, Usage
from dse_cli.contracts.project import ProjectSpec
from dse_cli.lm.catalog import ModelCatalog
from dse_cli.lm.gateway import Replay, build_gateway
from dse_cli.lm.journal import Journal
from dse_cli.lm.lexical import LEXICAL, LEXICAL_ROUTE
from dse_cli.lm.litellm_transport import LiteLlmTransport
from dse_cli.lm.request_text import request_lines
from dse_cli.lm.routes import Route, StaticRoutes
from dse_cli.lm.transcript import Transcript
from tests.lm.openai_server import CUT, OpenAiServer, Reply, answer, embedding, failure

KEY = "sk-test-0123456789abcdefghij"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
BOTH = pytest.mark.parametrize("direct", [True, False], ids=["direct", "aembedding"])


def embed_of(identity: ModelIdentity, text: str = "hi", path: str = "p") -> LmRequest:
    return LmRequest(identity, (Message("user", text),), path=path, task="embed")


def call(
    server: OpenAiServer, direct: bool, *, model: str = "openai/small", key: str | None = KEY
) -> LmResponse:
    identity = ModelIdentity(model, server.base)
    route = Route(model, server.base, key, timeout_s=20)

    async def go() -> LmResponse:
        transport = LiteLlmTransport(StaticRoutes({identity: route}), direct=direct)
        try:
            await transport.prepare(embed_of(identity))
            return await transport.complete(embed_of(identity))
        finally:
            await transport.aclose()

    return asyncio.run(go())


# --- on the wire --------------------------------------------------------------------------------


@BOTH
def test_a_vector_is_quantised_where_it_comes_in(server: OpenAiServer, direct: bool) -> None:
    server.replies = [embedding([0.5, -0.25, 0.001])]
    response = call(server, direct)
    assert response.text == "[127,-64,0]"
    assert response.usage == Usage(4, 0, None)
    assert response.served_model.endswith("served-embedder")
    (seen,) = server.seen
    assert seen.path == "/v1/embeddings"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.body["model"] == "small"
    assert seen.body["encoding_format"] == "float"
    assert seen.body["input"] in ("hi", ["hi"])
    assert set(seen.body) <= {"model", "input", "encoding_format"}


@BOTH
def test_a_key_of_the_environment_is_not_sent_to_a_named_endpoint(
    server: OpenAiServer, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.replies = [embedding([1.0])]
    call(server, direct, key=None)
    assert KEY not in json.dumps(server.seen[0].headers)


@BOTH
def test_a_known_model_has_its_price(server: OpenAiServer, direct: bool) -> None:
    server.replies = [embedding([1.0], usage={"prompt_tokens": 1000, "total_tokens": 1000})]
    response = call(server, direct, model="openai/text-embedding-3-small")
    assert response.usage == Usage(1000, 0, 20_000)  # 0.02 dollars a million tokens


@BOTH
def test_usage_that_is_not_reported_is_unknown(server: OpenAiServer, direct: bool) -> None:
    server.replies = [embedding([1.0], usage={"prompt_tokens": 0, "total_tokens": 0})]
    assert call(server, direct).usage == Usage(None, None, None)


@BOTH
@pytest.mark.parametrize(
    ("status", "retryable"), [(429, True), (503, True), (400, False), (401, False)]
)
def test_an_error_status_is_a_provider_error(
    server: OpenAiServer, direct: bool, status: int, retryable: bool
) -> None:
    server.replies = [failure(status, "not now")]
    with pytest.raises(ProviderError) as caught:
        call(server, direct)
    assert (caught.value.status, caught.value.retryable) == (status, retryable)


@pytest.mark.parametrize(
    "reply",
    [
        answer("hello"),
        embedding([]),
        embedding([0.0, 0.0]),
        embedding([[0.1], [0.2]]),
        embedding("AAAA"),
        embedding([1.0, None]),
        embedding([1.0], data=[]),
        Reply(b"[]"),
        Reply(b"<html>"),
    ],
)
def test_another_shape_is_a_provider_error_that_is_not_tried_again(
    server: OpenAiServer, reply: Reply
) -> None:
    server.replies = [reply]
    with pytest.raises(ProviderError) as caught:
        call(server, direct=True)
    assert not caught.value.retryable


def test_a_broken_connection_is_tried_again(server: OpenAiServer) -> None:
    server.replies = [CUT]
    with pytest.raises(ProviderError) as caught:
        call(server, direct=True)
    assert caught.value.retryable


# --- through the gateway ------------------------------------------------------------------------


def run(
    server: OpenAiServer, requests: list[LmRequest], **options: Any
) -> tuple[list[LmResponse], Any]:
    route = Route("openai/small", server.base, KEY, max_retries=2, timeout_s=20)
    identity = ModelIdentity("openai/small", server.base)

    async def go() -> tuple[list[LmResponse], Any]:
        gateway = build_gateway(
            StaticRoutes({identity: route}), seed=0, sleep=lambda _: asyncio.sleep(0), **options
        )
        try:
            return [await gateway.complete(request) for request in requests], gateway
        finally:
            await gateway.aclose()

    return asyncio.run(go())


def two(server: OpenAiServer) -> list[LmRequest]:
    identity = ModelIdentity("openai/small", server.base)
    return [embed_of(identity, "one", "a/step=embed"), embed_of(identity, "two", "b/step=embed")]


def by_length(server: OpenAiServer) -> None:
    server.otherwise = lambda seen: embedding([len(str(seen.body["input"])), 0.5, -3.0])


def test_embeddings_are_retried_cached_charged_and_recorded(
    server: OpenAiServer, tmp_path: Path
) -> None:
    by_length(server)
    server.replies = [failure(503)]
    asked = two(server)
    cold, first = run(server, asked, cache_folder=tmp_path)
    assert first.retrying.retries == 1
    assert len(server.seen) == 3
    warm, second = run(server, asked, cache_folder=tmp_path)
    assert warm == cold
    assert len(server.seen) == 3
    assert (second.meter.charged.calls, second.meter.paid.calls) == (2, 0)
    assert second.meter.charged.prompt_tokens == first.meter.charged.prompt_tokens == 8
    assert second.transcript.to_files() == first.transcript.to_files()


def test_a_transcript_reads_back_and_replays_without_a_call(server: OpenAiServer) -> None:
    by_length(server)
    asked = two(server)
    live, gateway = run(server, asked)
    files = gateway.transcript.to_files()
    read = Transcript.from_files(files.calls, files.texts, "t")
    assert read.to_files() == files
    again, _ = run(server, asked, replay=Replay(read))
    assert again == live
    assert len(server.seen) == 2


def test_a_journal_answers_what_an_interrupted_run_embedded(
    server: OpenAiServer, tmp_path: Path
) -> None:
    by_length(server)
    asked = two(server)
    run(server, asked[:1], journal=Journal(tmp_path / "journal.jsonl"))
    journal = Journal(tmp_path / "journal.jsonl")
    assert journal.load() == 1
    _, gateway = run(server, asked, journal=journal)
    assert gateway.recording.resumed == 1
    assert len(server.seen) == 2


def test_an_unknown_task_in_a_transcript_is_refused(server: OpenAiServer) -> None:
    by_length(server)
    _, gateway = run(server, two(server)[:1])
    files = gateway.transcript.to_files()
    texts = files.texts.replace(b'\\"task\\":\\"embed\\"', b'\\"task\\":\\"think\\"')
    assert texts != files.texts
    with pytest.raises(AlteredError):
        Transcript.from_files(files.calls, texts, "t")


# --- what a request is --------------------------------------------------------------------------


def test_the_task_is_in_the_key_and_only_where_it_is_set() -> None:
    request = embed_of(ModelIdentity("openai/small"))
    plain = replace(request, task=None, key="")
    assert request.key == sha256_of(request.to_json())
    assert request.to_json() == {**plain.to_json(), "task": "embed"}
    assert "task" not in plain.to_json()
    assert request.key != plain.key
    assert "task: embed" in request_lines(request)
    assert not any(line.startswith("task") for line in request_lines(plain))


# --- the built-in one ---------------------------------------------------------------------------


def test_the_lexical_embedder_is_a_built_in_alias_that_needs_no_server() -> None:
    catalog = ModelCatalog(ProjectSpec(dse="project/v1"))
    assert catalog.resolve("lexical-embed") == LEXICAL.model
    assert catalog.identify(LEXICAL.model) == LEXICAL
    assert catalog.limits(LEXICAL) == LEXICAL_ROUTE
    assert catalog.price_bound(LEXICAL.model) == 0

    async def go() -> LmResponse:
        gateway = build_gateway(catalog, seed=0)
        try:
            return await gateway.complete(embed_of(LEXICAL))
        finally:
            await gateway.aclose()

    assert asyncio.run(go()).usage == Usage(0, 0, 0)


def test_an_embedder_is_not_asked_for_an_answer() -> None:
    async def go() -> LmResponse:
        transport = LiteLlmTransport(ModelCatalog(ProjectSpec(dse="project/v1")))
        return await transport.complete(LmRequest(LEXICAL, (Message("user", "hi"),), path="p"))

    with pytest.raises(ModelUnavailableError, match="answers nothing"):
        asyncio.run(go())


def test_an_embedder_is_no_default_model() -> None:
    with pytest.raises(ValidationError, match="answers nothing"):
        ProjectSpec(dse="project/v1", default_model="lexical-embed")
