"""The short way to an OpenAI-compatible endpoint.

``litellm.acompletion`` spends 4 to 6 ms of CPU on a call, mostly on logging and cost callbacks that
we do not use; on an instant server that is under 250 calls/s. Here LiteLLM still decides everything
about the provider (its name, which parameters it takes and how they are spelled, the URL, the
headers, the shape of the messages), but that decision is kept as a :class:`WirePlan`, and the call
itself is one POST on a shared connection pool.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from dse_cli.contracts.errors import ProviderError
from dse_cli.lm.answer_shape import Answer, read_answer
from dse_cli.lm.litellm_library import load_litellm
from dse_cli.lm.provider_errors import from_litellm, from_socket, from_status, said_in

if TYPE_CHECKING:
    import ssl

    import aiohttp

    from dse_cli.contracts.lm import LmRequest
    from dse_cli.lm.routes import Route

_MOST_PLANS = 1024
#: Seeds of llama.cpp; its last one, 2^32 - 1, stands for chance.
_SEEDS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class WirePlan:
    """What LiteLLM decided for one (route, sampling, schema)."""

    url: str
    headers: dict[str, str]
    provider: str
    model: str
    params: dict[str, Any]
    extra_body: dict[str, Any]
    proxy: str | None
    config: Any


class DirectWire:
    """Sends chat completions to routes whose provider LiteLLM treats as OpenAI-compatible."""

    def __init__(self) -> None:
        self._plans: dict[tuple[Route, Any, str | None], WirePlan | None] = {}
        self._session: aiohttp.ClientSession | None = None

    def plan(self, route: Route, request: LmRequest) -> WirePlan | None:
        """Return the plan of a call, or None when it has to go through ``litellm.acompletion``.

        Raises:
            ProviderError: the provider does not take one of the parameters.
        """
        if route.api_base is None:
            return None
        schema = request.response_schema
        spelled = None if schema is None else json.dumps(schema, sort_keys=True)
        key = (route, request.sampling, spelled)
        if key not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            self._plans[key] = make_plan(route, request)
        return self._plans[key]

    async def send(self, plan: WirePlan, route: Route, request: LmRequest) -> Answer:
        """Make one call.

        Raises:
            ProviderError: no answer, an error status, or an answer of another shape.
        """
        import aiohttp

        data = encode_body(plan, route, request)
        try:
            async with self.pool().post(
                plan.url, data=data, headers=plan.headers, proxy=plan.proxy, allow_redirects=False
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise from_socket(route, error) from error
        return read_raw(route, response.status, raw, response.headers)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def pool(self) -> aiohttp.ClientSession:
        """Return the connections; they are opened on the first use."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                # Concurrency is limited per model above; timeouts are the retry layer's.
                connector=aiohttp.TCPConnector(limit=0, ssl=_tls()),
                timeout=aiohttp.ClientTimeout(total=None),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,  # it would read ~/.netrc on each call; see proxy_of
            )
        return self._session


def read_raw(route: Route, status: int, raw: bytes, headers: Any) -> Answer:
    """Read one HTTP answer.

    Raises:
        ProviderError: an error status, or an answer of another shape.
    """
    return read_answer(read_json(route, status, raw, headers), route.litellm_model)


def read_json(route: Route, status: int, raw: bytes, headers: Any) -> Any:
    """Return the JSON of a good HTTP answer.

    Raises:
        ProviderError: an error status, or no JSON.
    """
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        if status == 200:
            raise ProviderError(
                f"{route.litellm_model}: the answer is not JSON",
                status=status,
                hint="check that `api_base` is the base of an OpenAI-compatible API",
            ) from None
        raise from_status(route, status, raw[:2000].decode(errors="replace"), headers) from None
    if status != 200:
        raise from_status(route, status, said_in(body), headers)
    return body


def encode_body(plan: WirePlan, route: Route, request: LmRequest) -> bytes:
    """Return the body of the POST; the provider's config shapes the messages."""
    body = plan.config.transform_request(
        plan.model,
        [{"role": message.role, "content": message.content} for message in request.messages],
        dict(plan.params),
        {"custom_llm_provider": plan.provider, "api_base": plan.url},
        {},
    )
    body.update(plan.extra_body)
    if route.seeded:
        # With one seed for all, every sample of a prompt would be the same text.
        body.setdefault("seed", request.rollout % _SEEDS)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def make_plan(route: Route, request: LmRequest) -> WirePlan | None:
    """Ask LiteLLM how to talk to a route; None when it is not plain OpenAI JSON over HTTP."""
    litellm = load_litellm()
    from litellm.utils import get_optional_params

    try:
        model, provider, _, _ = litellm.get_llm_provider(
            route.litellm_model, api_base=route.api_base, api_key=route.api_key
        )
        config = _plain_config(litellm, model, provider)
        if config is None:
            return None
        params = get_optional_params(
            model=model, custom_llm_provider=provider, **openai_params(request)
        )
    except litellm.exceptions.BadRequestError as error:
        raise from_litellm(route, error) from error
    if "json_mode" in params or "tools" in params or "fake_stream" in params:
        return None  # the schema is emulated with a tool, which only LiteLLM can undo
    params.pop("stream", None)
    extra_body = params.pop("extra_body", None) or {}
    # Only this route's own key: LiteLLM would fall back to a key of the environment and so send,
    # say, OPENAI_API_KEY to whatever `api_base` names.
    headers = config.validate_environment({}, model, [], params, {}, api_key=route.api_key)
    url = config.get_complete_url(route.api_base, route.api_key, model, params, {})
    return WirePlan(url, headers, provider, model, params, extra_body, proxy_of(url), config)


def openai_params(request: LmRequest) -> dict[str, Any]:
    """Return sampling and response format in OpenAI's words; what is None is left out."""
    params = {key: value for key, value in request.sampling.to_json().items() if value is not None}
    if request.response_schema is not None:
        params["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": request.response_schema, "strict": True},
        }
    return params


def _plain_config(litellm: Any, model: str, provider: str) -> Any:
    """Return LiteLLM's chat config if it authenticates and answers just as OpenAI does."""
    from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig
    from litellm.llms.openai_like.chat.transformation import OpenAILikeChatConfig
    from litellm.types.utils import LlmProviders
    from litellm.utils import ProviderConfigManager

    compatible = {"openai", "openai_like", "custom_openai", *litellm.openai_compatible_providers}
    if provider not in compatible or provider not in {item.value for item in LlmProviders}:
        return None
    if litellm.model_cost.get(model, {}).get("mode", "chat") != "chat":
        return None  # served by the responses API
    config = ProviderConfigManager.get_provider_chat_config(model, LlmProviders(provider))
    if not isinstance(config, OpenAIGPTConfig):
        return None
    kind = type(config)
    reads_plainly = kind.transform_response in (
        OpenAIGPTConfig.transform_response,
        OpenAILikeChatConfig.transform_response,
    )
    asks_plainly = (
        kind.validate_environment is OpenAIGPTConfig.validate_environment
        and kind.sign_request is OpenAIGPTConfig.sign_request
    )
    return config if reads_plainly and asks_plainly else None


def proxy_of(url: str) -> str | None:
    """Return the proxy the environment names for a URL, never one for loopback."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in {"localhost", "127.0.0.1", "::1"} or proxy_bypass(host):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def _tls() -> ssl.SSLContext:
    """Return httpx's, and so LiteLLM's, trust store: certifi unless the user named one."""
    import os
    import ssl

    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
