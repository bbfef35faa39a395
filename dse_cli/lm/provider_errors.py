"""Turns what a provider, LiteLLM or the socket said into a ``ProviderError`` without secrets."""

from __future__ import annotations

import time
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.project import SECRET_SHAPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse_cli.lm.routes import Route

_RETRYABLE = frozenset({408, 409, 425, 429})
_NEVER_BETTER = frozenset({501, 505})
#: Provider words for "this 429 does not go away by waiting".
_OUT_OF_MONEY = ("insufficient_quota", "billing_hard_limit")
_LONGEST_QUOTE = 300
_HINTS = {
    400: "the endpoint refused the request as it stands; see its message",
    401: "check the variable that `api_key_env` names",
    403: "the key has no access to this model",
    404: "check `model` and `api_base` in dse.yaml",
}


def from_status(
    route: Route,
    status: int,
    said: str,
    headers: Mapping[str, str] | None = None,
    *,
    now_s: float | None = None,
) -> ProviderError:
    """Return the error for an HTTP answer that is not a completion."""
    retryable = status in _RETRYABLE or (status >= 500 and status not in _NEVER_BETTER)
    if status == 429 and any(word in said for word in _OUT_OF_MONEY):
        retryable = False
    return ProviderError(
        f"{route.litellm_model}: HTTP {status}: {quote(said, route)}",
        status=status,
        retryable=retryable,
        retry_after_s=retry_after(headers or {}, time.time() if now_s is None else now_s),
        hint=_HINTS.get(status),
    )


def from_socket(route: Route, error: BaseException) -> ProviderError:
    """Return the error for a call that got no answer, or half of one. It may succeed later."""
    said = quote(str(error) or type(error).__name__, route)
    return ProviderError(
        f"{route.litellm_model}: no answer from {route.api_base or 'the provider'}: {said}",
        retryable=True,
        hint="check that the endpoint is up and that `api_base` is right",
    )


def from_litellm(route: Route, error: Exception) -> ProviderError:
    """Map an exception of LiteLLM by its type and status."""
    from httpx import TransportError
    from openai import APIConnectionError, APITimeoutError

    status = getattr(error, "status_code", None)
    response = getattr(error, "response", None)
    headers = getattr(response, "headers", None) or getattr(error, "litellm_response_headers", None)
    if isinstance(error, APITimeoutError):
        return CallTimeoutError(
            f"{route.litellm_model}: timed out: {quote(str(error), route)}", retryable=True
        )
    # LiteLLM makes up a status 500 for a refused connection, and drops the provider's error code:
    # both are still in the errors that it wrapped.
    wrapped = _chain(error)
    no_answer = any(isinstance(each, APIConnectionError | TransportError) for each in wrapped)
    if no_answer or not isinstance(status, int):
        return from_socket(route, error)
    codes = {code for each in wrapped if isinstance(code := getattr(each, "code", None), str)}
    return from_status(route, status, " ".join([str(error), *sorted(codes)]), headers)


def _chain(error: BaseException | None) -> list[BaseException]:
    """Return an error and the errors it wraps, outermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


def retry_after(headers: Mapping[str, str], now_s: float) -> float | None:
    """Return the seconds a server asked to wait: ``Retry-After`` as seconds or as an HTTP date.

    Source: RFC 9110 section 10.2.3. Nonsense and negative values are None.
    """
    value = _header(headers, "retry-after-ms")
    seconds = _number(value, 0.001) if value else None
    if seconds is not None:
        return seconds
    value = _header(headers, "retry-after")
    if not value:
        return None
    seconds = _number(value, 1.0)
    if seconds is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": RFC 5322 says UTC of unknown origin
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now_s)


def quote(said: str, route: Route) -> str:
    """Return one short line of what was said, with this route's key and key shapes blanked."""
    line = " ".join(said.split())
    if route.api_key:
        line = line.replace(route.api_key, "***")
    line = SECRET_SHAPE.sub("***", line)
    return line if len(line) <= _LONGEST_QUOTE else line[: _LONGEST_QUOTE - 1] + "…"


def said_in(body: Any) -> str:
    """Return the message inside an OpenAI-shaped error body, or the whole of it."""
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        code = error.get("code")
        message: str = error["message"]
        return f"{message} ({code})" if isinstance(code, str) and code not in message else message
    return str(error) if error else str(body)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    for key in headers:
        if key.lower() == name:
            return headers[key].strip()
    return None


def _number(value: str, unit: float) -> float | None:
    try:
        seconds = float(value) * unit
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None
