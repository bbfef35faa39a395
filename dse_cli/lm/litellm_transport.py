"""The transport to real models: LiteLLM, by its general call or by a direct wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.answer_shape import Answer, read_answer
from dse_cli.lm.direct_wire import DirectWire, openai_params
from dse_cli.lm.embedding import (
    embed_directly,
    embed_with_litellm,
    refuse_embedder,
    speaks_plainly,
)
from dse_cli.lm.lexical import lexical_response
from dse_cli.lm.litellm_call import call_litellm
from dse_cli.lm.litellm_library import load_litellm
from dse_cli.lm.prices import FREE, price_of
from dse_cli.lm.vectors import vector_text

if TYPE_CHECKING:
    from dse_cli.lm.routes import Route, Routes


class LiteLlmTransport:
    """Answers calls through LiteLLM. One attempt a call: retries and timeouts are layers above."""

    def __init__(self, routes: Routes, *, direct: bool = True) -> None:
        """Make a transport.

        Args:
            routes: where each model lives.
            direct: False sends everything through ``litellm.acompletion``.
        """
        self._routes = routes
        self._direct = DirectWire() if direct else None
        self._used_litellm_clients = False

    async def prepare(self, request: LmRequest) -> None:
        """Do what only the first call of a model needs: find its route, import LiteLLM.

        Raises:
            ModelUnavailableError: the model cannot be reached from here.
            ProviderError: it does not take a parameter of the request.
        """
        route = await self._routes.route(request.identity)
        if route.in_process:
            return
        await asyncio.to_thread(load_litellm)
        if self._direct is not None and request.task is None:
            await asyncio.to_thread(self._direct.plan, route, request)

    async def complete(self, request: LmRequest) -> LmResponse:
        route = await self._routes.route(request.identity)
        if request.task == "embed":
            return await self._embed(route, request)
        refuse_embedder(route)
        plan = self._direct.plan(route, request) if self._direct else None
        if self._direct is not None and plan is not None:
            answer = await self._direct.send(plan, route, request)
        else:
            self._used_litellm_clients = True
            answer = await _acompletion(route, request)
        return LmResponse(
            text=answer.text,
            finish_reason=answer.finish_reason,
            served_model=answer.served_model,
            usage=_usage(
                route, (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
            ),
        )

    async def _embed(self, route: Route, request: LmRequest) -> LmResponse:
        if route.in_process:
            return lexical_response(request)
        if self._direct is not None and speaks_plainly(route):
            found = await embed_directly(self._direct.pool(), route, request)
        else:
            self._used_litellm_clients = True
            found = await embed_with_litellm(route, request)
        return LmResponse(
            text=vector_text(found.vector),
            served_model=found.served_model,
            usage=_usage(route, found.usage),
        )

    async def aclose(self) -> None:
        if self._direct is not None:
            await self._direct.aclose()
        if self._used_litellm_clients:
            await load_litellm().close_litellm_async_clients()
            self._used_litellm_clients = False


async def _acompletion(route: Route, request: LmRequest) -> Answer:
    """Make one call with ``litellm.acompletion``."""
    messages = [{"role": m.role, "content": m.content} for m in request.messages]
    body = await call_litellm(
        load_litellm().acompletion, route, messages=messages, **openai_params(request)
    )
    return read_answer(body, route.litellm_model)


def _usage(route: Route, counts: tuple[int | None, int | None, int | None]) -> Usage:
    prompt, completion, cached = counts
    price = FREE if route.free else price_of(route.litellm_model)
    cost = None
    if route.free:
        cost = 0
    elif price is not None and prompt is not None and completion is not None:
        cost = price.cost_nano_usd(prompt, completion, cached or 0)
    return Usage(prompt, completion, cost)
