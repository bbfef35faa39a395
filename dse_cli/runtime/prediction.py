"""What one prediction came to: an output or a typed error, and what it used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dse_cli.canonical import sha256_of
from dse_cli.contracts.evaluation import CellError, CellUsage
from dse_cli.contracts.lm import LmResponse


@dataclass(frozen=True, slots=True)
class Prediction:
    """The result of one prediction.

    Attributes:
        output: the decoded object, None when there is an error.
        error: why there is no output.
        usage: calls, repairs, tokens, money.
        request_keys: of every call that was answered, in order.
        served_model: model string of the last answer.
        scripted: True when any answer was scripted.
        text: the last raw text, for people.
    """

    output: dict[str, Any] | None
    error: CellError | None
    usage: CellUsage
    request_keys: tuple[str, ...] = ()
    served_model: str = ""
    scripted: bool = False
    text: str = ""

    @property
    def output_hash(self) -> str | None:
        return None if self.output is None else sha256_of(self.output)


@dataclass(slots=True)
class UsageTally:
    """Adds up the usage of the calls of one prediction; unknown stays unknown.

    A call that failed counts as a call. What it used is not known to anybody and not added.
    """

    lm_calls: int = 0
    repairs: int = 0
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    cost_nano_usd: int | None = 0
    latency_ms: int | None = 0
    output_chars: int = 0
    request_keys: list[str] = field(default_factory=list)
    served_model: str = ""
    scripted: bool = False

    def asked(self) -> None:
        """Count a call that is about to be made."""
        self.lm_calls += 1

    def add(self, key: str, response: LmResponse, *, is_answer: bool = True) -> None:
        """Add what a call used.

        Args:
            is_answer: False for an embedding, whose text is no output and whose model is not the
                one that answers.
        """
        self.prompt_tokens = _plus(self.prompt_tokens, response.usage.prompt_tokens)
        self.completion_tokens = _plus(self.completion_tokens, response.usage.completion_tokens)
        self.cost_nano_usd = _plus(self.cost_nano_usd, response.usage.cost_nano_usd)
        self.latency_ms = _plus(self.latency_ms, response.latency_ms)
        self.request_keys.append(key)
        if is_answer:
            self.output_chars += len(response.text)
            self.served_model = response.served_model
        self.scripted = self.scripted or response.scripted

    @property
    def total_tokens(self) -> int | None:
        return _plus(self.prompt_tokens, self.completion_tokens)

    def usage(self) -> CellUsage:
        """Return the tally as a frozen record."""
        return CellUsage(
            lm_calls=self.lm_calls,
            repairs=self.repairs,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            cost_nano_usd=self.cost_nano_usd,
            # Nothing answered took no known time.
            latency_ms=self.latency_ms if self.request_keys else None,
        )


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right
