"""Embeddings of a text: OpenAI's ``/embeddings`` over the shared wire, or LiteLLM's call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.errors import ModelUnavailableError, ProviderError
from dse_cli.lm.answer_shape import count_of, sound_text
from dse_cli.lm.direct_wire import proxy_of, read_json
from dse_cli.lm.litellm_call import call_litellm
from dse_cli.lm.litellm_library import load_litellm
from dse_cli.lm.provider_errors import from_socket
from dse_cli.lm.vectors import Vector, quantise

if TYPE_CHECKING:
    import aiohttp

    from dse_cli.contracts.lm import LmRequest
    from dse_cli.lm.routes import Route

#: Providers whose embeddings are OpenAI's own protocol, below an explicit base URL.
_PLAIN: Final = frozenset({"openai", "openai_like", "hosted_vllm", "litellm_proxy"})


@dataclass(frozen=True, slots=True)
class Embedding:
    """What an embedder answered.

    Attributes:
        vector: quantised.
        served_model: the model string that it returned.
        usage: prompt tokens, completion tokens (an embedder writes none) and cached tokens; None
            is unknown.
    """

    vector: Vector
    served_model: str
    usage: tuple[int | None, int | None, int | None]


def speaks_plainly(route: Route) -> bool:
    """Whether a route is an explicit endpoint that takes OpenAI's own request."""
    return route.api_base is not None and route.litellm_model.partition("/")[0] in _PLAIN


def refuse_embedder(route: Route) -> None:
    """Refuse to ask a model for an answer that only embeds.

    Raises:
        ModelUnavailableError: the route is computed here, and can do nothing else.
    """
    if route.in_process:
        raise ModelUnavailableError(
            f"{route.litellm_model} embeds texts and answers nothing",
            hint="name it as models.embedder of a job, and another model as models.main",
        )


async def embed_directly(
    pool: aiohttp.ClientSession, route: Route, request: LmRequest
) -> Embedding:
    """Make one call on the shared wire.

    Raises:
        ProviderError: no answer, an error status, or an answer of another shape.
    """
    import aiohttp

    url = f"{route.api_base}/embeddings"
    body = {
        "model": route.litellm_model.partition("/")[2],
        "input": text_of(request),
        "encoding_format": "float",
    }
    headers = {"content-type": "application/json"}
    if route.api_key is not None:
        headers["authorization"] = f"Bearer {route.api_key}"
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    try:
        async with pool.post(
            url, data=data, headers=headers, proxy=proxy_of(url), allow_redirects=False
        ) as response:
            raw = await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise from_socket(route, error) from error
    found = read_json(route, response.status, raw, response.headers)
    return read_embedding(found, route.litellm_model)


async def embed_with_litellm(route: Route, request: LmRequest) -> Embedding:
    """Make one call with ``litellm.aembedding``.

    Raises:
        ProviderError: as :func:`embed_directly`.
    """
    arguments: dict[str, Any] = {"input": [text_of(request)]}
    if speaks_plainly(route) or route.litellm_model.startswith("openai/"):
        arguments["encoding_format"] = "float"
    body = await call_litellm(load_litellm().aembedding, route, **arguments)
    return read_embedding(body, route.litellm_model)


def text_of(request: LmRequest) -> str:
    """Return the text that a request asks to embed."""
    if len(request.messages) != 1:
        raise ValueError("an embedding is of one message")
    return request.messages[0].content


def read_embedding(body: Any, model: str) -> Embedding:
    """Read the answer of ``/embeddings`` to one text.

    Raises:
        ProviderError: the body has another shape; not retryable, because it may have been paid.
    """
    if not isinstance(body, dict):
        raise _odd(model, "it is not a JSON object")
    data = body.get("data")
    if not isinstance(data, list) or len(data) != 1 or not isinstance(data[0], dict):
        raise _odd(model, "it does not hold one embedding")
    values = data[0].get("embedding")
    if not isinstance(values, list):
        raise _odd(model, "its embedding is not a list of numbers")
    try:
        vector = quantise(values)
    except ValueError as error:
        raise _odd(model, f"its embedding cannot be used: {error}") from None
    served, usage = body.get("model"), body.get("usage")
    prompt = count_of(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
    # A text has tokens, so zero is how a server spells "unknown".
    counts = (prompt, 0, 0) if prompt else (None, None, None)
    return Embedding(vector, sound_text(served, model) if isinstance(served, str) else "", counts)


def _odd(model: str, why: str) -> ProviderError:
    return ProviderError(
        f"{model}: the answer is not an embedding: {why}",
        hint="check that the model embeds, and that the endpoint speaks OpenAI's embeddings",
    )
