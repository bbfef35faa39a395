"""Reads a response back from JSON that lay on disk, where anything may have happened to it."""

from __future__ import annotations

from typing import Any

from dse_cli.contracts.lm import LmResponse, Usage


def read_response(data: dict[str, Any]) -> LmResponse:
    """Read :meth:`LmResponse.to_json`, checking every type.

    Raises:
        ValueError, TypeError, KeyError: it has another shape.
    """
    response = LmResponse(
        text=data["text"],
        finish_reason=data["finish_reason"],
        served_model=data["served_model"],
        usage=Usage(**data["usage"]),
        scripted=data["scripted"],
        paid=False,
        latency_ms=data.get("latency_ms"),
    )
    usage = response.usage
    if not (
        len(data) == (5 if response.latency_ms is None else 6)
        and type(response.text) is str
        and type(response.finish_reason) is str
        and type(response.served_model) is str
        and type(response.scripted) is bool
        and _is_count(usage.prompt_tokens)
        and _is_count(usage.completion_tokens)
        and _is_count(usage.cost_nano_usd)
        and _is_count(response.latency_ms)
    ):
        raise ValueError("a field has the wrong type")
    return response


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)
