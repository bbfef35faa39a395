"""One call of one of LiteLLM's functions: our endpoint, our key, and no retries of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import ProviderError
from dse_cli.lm.litellm_library import NO_KEY
from dse_cli.lm.provider_errors import from_litellm

if TYPE_CHECKING:
    from dse_cli.lm.routes import Route


async def call_litellm(
    function: Callable[..., Awaitable[Any]], route: Route, **arguments: Any
) -> Any:
    """Return the body of an answer.

    Args:
        function: ``litellm.acompletion`` or ``litellm.aembedding``.
        arguments: besides the model, where it lives, the timeout and the number of retries.

    Raises:
        ProviderError: no answer, or what LiteLLM returned is none.
    """
    from openai import OpenAIError

    if route.api_base is not None:
        arguments |= {"api_base": route.api_base, "api_key": route.api_key or NO_KEY}
    elif route.api_key is not None:
        arguments["api_key"] = route.api_key
    try:
        response = await function(
            model=route.litellm_model,
            timeout=route.timeout_s,
            num_retries=0,
            max_retries=0,
            **arguments,
        )
    except OpenAIError as error:  # every exception of LiteLLM derives from it
        raise from_litellm(route, error) from error
    dump = getattr(response, "model_dump", None)
    if dump is None:
        raise ProviderError(f"{route.litellm_model}: LiteLLM returned {type(response).__name__}")
    return dump()
