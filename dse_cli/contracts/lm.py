"""A model call: request, response, usage.

These are dataclasses and not Pydantic models: they are made by our own code, hundreds of thousands
of times in a run, and never parsed from a user's file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from dse_cli.canonical import canonical_text, sha256_of_text

Role = Literal["system", "user", "assistant"]
#: What is asked of a model besides an answer: ``embed``, the vector of the only message.
Task = Literal["embed"]
NANO: int = 1_000_000_000  #: nano-dollars in one dollar; money is counted in integers


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What decides a response on the model's side, and nothing else.

    Attributes:
        model: the resolved LiteLLM model name, never an alias (``openai/gpt-4o-mini``).
        endpoint: base URL without credentials, or None for the provider's own.
        weights: ``sha256:...`` of the weights, for the embedded model only; then endpoint is None,
            because its port is chance.
    """

    model: str
    endpoint: str | None = None
    weights: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"model": self.model, "endpoint": self.endpoint, "weights": self.weights}


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling parameters; None means the provider's default and is not sent."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "temperature": self.temperature,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
        }


@dataclass(frozen=True, slots=True)
class LmRequest:
    """One model call as the gateway sees it.

    Attributes:
        identity: model and endpoint.
        messages: in order; the stable part comes first so that prefix caches hit.
        sampling: parameters that are sent.
        response_schema: JSON Schema the provider must enforce, or None.
        rollout: index of the sample; keeps several samples of one prompt apart.
        path: logical place of the call in the run; not part of :attr:`key`.
        timeout_s: hard limit for the whole call with its retries, or None; not part of :attr:`key`.
        task: None asks for an answer, and is not spelled in the canonical request.
    """

    identity: ModelIdentity
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    response_schema: dict[str, Any] | None = None
    rollout: int = 0
    path: str = ""
    timeout_s: float | None = None
    task: Task | None = None
    key: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.key:
            object.__setattr__(self, "key", sha256_of_text(self._canonical_text()))

    def to_json(self) -> dict[str, Any]:
        """Return the canonical request: all that decides the response, and the rollout index."""
        return {
            "messages": [{"role": m.role, "content": m.content} for m in self.messages],
            "model": self.identity.to_json(),
            "response_schema": self.response_schema,
            "rollout": self.rollout,
            "sampling": self.sampling.to_json(),
            **({} if self.task is None else {"task": self.task}),
        }

    def _canonical_text(self) -> str:
        """Return the RFC 8785 text of :meth:`to_json`; what many calls share is spelled once."""
        stable, last = self.messages[:-1], self.messages[-1:]
        messages = ",".join(part for part in (_spelled(stable), _messages_text(last)) if part)
        schema, rollout = canonical_text(self.response_schema), canonical_text(self.rollout)
        task = "" if self.task is None else f',"task":{canonical_text(self.task)}'
        return (
            f'{{"messages":[{messages}],"model":{_identity_text(self.identity)},'
            f'"response_schema":{schema},"rollout":{rollout},'
            f'"sampling":{_sampling_text(self.sampling)}{task}}}'
        )


def _messages_text(messages: tuple[Message, ...]) -> str:
    """Return the canonical text of messages, without the brackets of the list."""
    return canonical_text([{"role": m.role, "content": m.content} for m in messages])[1:-1]


@lru_cache(maxsize=256)
def _spelled(messages: tuple[Message, ...]) -> str:
    return _messages_text(messages)


@lru_cache(maxsize=256)
def _identity_text(identity: ModelIdentity) -> str:
    return canonical_text(identity.to_json())


@lru_cache(maxsize=256)
def _sampling_text(sampling: Sampling) -> str:
    return canonical_text(sampling.to_json())


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call cost. None is unknown, never zero.

    Attributes:
        prompt_tokens, completion_tokens: as the provider counted them.
        cost_nano_usd: price in nano-dollars (10^-9 USD), None when no price is known.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_nano_usd: int | None = None

    @property
    def total_tokens(self) -> int | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens

    def to_json(self) -> dict[str, Any]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cost_nano_usd": self.cost_nano_usd,
        }


@dataclass(frozen=True, slots=True)
class CallFailure:
    """A call that ended without an answer after its retries.

    It changed what came next, so it is part of the record of a run, and a replay fails there again.
    It is never cached and never kept for resuming: the next attempt asks the model.

    Attributes:
        kind: ``provider`` or ``timeout``.
        message: one sentence without secrets.
        status: the HTTP status, None when there was no answer.
    """

    kind: Literal["provider", "timeout"]
    message: str
    status: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "message": self.message, "status": self.status}


@dataclass(frozen=True, slots=True)
class LmResponse:
    """What the model answered.

    Attributes:
        text: the assistant's text, raw.
        finish_reason: ``stop``, ``length`` or the provider's word.
        served_model: the model string the provider returned.
        usage: tokens and price.
        scripted: True when no real model was asked; such evidence can never promote.
        paid: False when it came from a cache or a record; never written to a transcript.
        latency_ms: how long the attempt took that was answered, as measured when it was; None when
            nobody measured. A transcript has it only where the reward needs it, like usage a fact
            that is recorded once and read from then on.
    """

    text: str
    finish_reason: str = "stop"
    served_model: str = ""
    usage: Usage = Usage()
    scripted: bool = False
    paid: bool = field(default=True, compare=False)
    latency_ms: int | None = field(default=None, compare=False)

    def timed(self, latency_ms: int | None) -> LmResponse:
        """Return this answer with another latency; ``replace`` would cost three times as much."""
        return LmResponse(
            self.text,
            self.finish_reason,
            self.served_model,
            self.usage,
            self.scripted,
            self.paid,
            latency_ms,
        )

    def to_json(self) -> dict[str, Any]:
        measured = {} if self.latency_ms is None else {"latency_ms": self.latency_ms}
        return {
            "text": self.text,
            "finish_reason": self.finish_reason,
            "served_model": self.served_model,
            "usage": self.usage.to_json(),
            "scripted": self.scripted,
            **measured,
        }
