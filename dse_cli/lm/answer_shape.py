"""Reads an OpenAI-shaped chat completion, believing nothing about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dse_cli.contracts.errors import ProviderError

_LARGEST_COUNT = 2**53 - 1  # larger integers have no RFC 8785 form


@dataclass(frozen=True, slots=True)
class Answer:
    """The parts of a chat completion that are used; None is unknown."""

    text: str
    finish_reason: str
    served_model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None


def read_answer(body: Any, model: str) -> Answer:
    """Read a chat completion.

    Raises:
        ProviderError: the body has another shape; not retryable, because it may have been paid.
    """
    if not isinstance(body, dict):
        raise _odd(model, "it is not a JSON object")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise _odd(model, "it has no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise _odd(model, "its first choice has no message")
    usage = body.get("usage")
    prompt, completion, cached = read_usage(usage if isinstance(usage, dict) else {})
    finish = choices[0].get("finish_reason")
    served = body.get("model")
    return Answer(
        text=sound_text(_text(message, model), model),
        finish_reason=sound_text(finish, model) if isinstance(finish, str) else "unknown",
        served_model=sound_text(served, model) if isinstance(served, str) else "",
        prompt_tokens=prompt,
        completion_tokens=completion,
        cached_tokens=cached,
    )


def read_usage(usage: dict[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Return prompt, completion and cached prompt tokens; what is absent or odd is None.

    Zero prompt and zero completion tokens is how some servers, and LiteLLM, spell "unknown".
    """
    prompt = count_of(usage.get("prompt_tokens"))
    completion = count_of(usage.get("completion_tokens"))
    if prompt == 0 and completion == 0:
        return None, None, None
    details = usage.get("prompt_tokens_details")
    cached = count_of(details.get("cached_tokens")) if isinstance(details, dict) else None
    return prompt, completion, cached


def _text(message: dict[str, Any], model: str) -> str:
    content = message.get("content")
    if isinstance(content, str):
        return content
    if content is None and ("content" in message or "refusal" in message):
        return ""  # a refusal, or all tokens went into reasoning: an empty answer of the model
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        if len(parts) == len(content) and all(isinstance(part, str) for part in parts):
            return "".join(part for part in parts if part)
    raise _odd(model, "its message has no text")


def sound_text(text: str, model: str) -> str:
    """Refuse lone surrogates: such a text has no UTF-8 form and cannot be stored."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise _odd(model, "its text is not valid Unicode") from None
    return text


def count_of(value: Any) -> int | None:
    """Return a count that can be one, else None."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _LARGEST_COUNT:
        return value
    return None


def _odd(model: str, why: str) -> ProviderError:
    return ProviderError(
        f"{model}: the answer is not a chat completion: {why}",
        hint="check that the endpoint speaks the OpenAI chat completions protocol",
    )
