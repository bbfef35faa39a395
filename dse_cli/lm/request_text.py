"""A request as text that a person reads, and the difference between two of them."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest
    from dse_cli.lm.transcript import Transcript

_MOST_COMPARED = 50


def request_lines(request: LmRequest) -> list[str]:
    """Return a request as lines: model, sampling, schema, then each message under its role."""
    identity = request.identity
    lines = [f"model: {identity.model}"]
    if identity.endpoint is not None:
        lines.append(f"endpoint: {identity.endpoint}")
    if identity.weights is not None:
        lines.append(f"weights: {identity.weights}")
    sampling = request.sampling.to_json()
    lines += [f"{key}: {value}" for key, value in sampling.items() if value is not None]
    lines.append(f"rollout: {request.rollout}")
    if request.task is not None:
        lines.append(f"task: {request.task}")
    if request.response_schema is not None:
        lines.append("response_schema:")
        pretty = json.dumps(request.response_schema, indent=2, sort_keys=True, ensure_ascii=False)
        lines += [f"  {line}" for line in pretty.splitlines()]
    for message in request.messages:
        lines.append(f"[{message.role}]")
        lines += [f"  {line}" for line in message.content.split("\n")]
    return lines


def request_diff(recorded: LmRequest, asked: LmRequest) -> str:
    """Return the unified diff from the recorded request to the one that was asked now."""
    return "\n".join(
        difflib.unified_diff(
            request_lines(recorded),
            request_lines(asked),
            fromfile=f"recorded {recorded.path}",
            tofile=f"asked {asked.path}",
            lineterm="",
        )
    )


def nearest_request(transcript: Transcript, asked: LmRequest) -> LmRequest | None:
    """Return the recorded request most like one whose path is not on record.

    First by how many leading parts of the path agree, then by the lines they share, then by path.
    """
    parts = asked.path.split("/")
    shared = {path: _shared_parts(path.split("/"), parts) for path in transcript.paths()}
    if not shared:
        return None
    most = max(shared.values())
    close = [path for path, count in shared.items() if count == most][:_MOST_COMPARED]
    lines = request_lines(asked)
    best: tuple[float, LmRequest] | None = None
    for path in close:
        call = transcript.get(path)
        if call is None:
            continue
        matcher = difflib.SequenceMatcher(None, request_lines(call.request), lines, autojunk=False)
        ratio = matcher.ratio()
        if best is None or ratio > best[0]:
            best = (ratio, call.request)
    return best[1] if best else None


def _shared_parts(one: list[str], other: list[str]) -> int:
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
