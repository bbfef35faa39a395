"""A failed call as a record, and back as the error it was."""

from __future__ import annotations

from typing import Any

from dse_cli.contracts.errors import CallTimeoutError, ProviderError
from dse_cli.contracts.lm import CallFailure


def failure_of(error: ProviderError) -> CallFailure:
    """Return what a transcript keeps of a provider's error."""
    if isinstance(error, CallTimeoutError):
        return CallFailure("timeout", error.message, error.status)
    return CallFailure("provider", error.message, error.status)


def error_of(failure: CallFailure) -> ProviderError:
    """Return the error that a recorded failure stands for."""
    kind = CallTimeoutError if failure.kind == "timeout" else ProviderError
    return kind(failure.message, status=failure.status)


def read_failure(data: dict[str, Any]) -> CallFailure:
    """Read a failure back, trusting nothing in it.

    Raises:
        ValueError: another shape.
    """
    kind, message, status = data["kind"], data["message"], data["status"]
    if kind not in ("provider", "timeout") or not isinstance(message, str) or len(data) != 3:
        raise ValueError("not a failure")
    if status is not None and type(status) is not int:
        raise ValueError("not an HTTP status")
    return CallFailure(kind, message, status)
