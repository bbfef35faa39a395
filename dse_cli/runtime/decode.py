"""Model text to a value that fits the output schema, or the reason why not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse_cli.contracts.params import DecodeMode
    from dse_cli.contracts.schema import Checker

PREVIEW_CHARS = 300
_FENCE = re.compile(r"\A```[A-Za-z]*\s*\n(.*?)(?:\n```\s*)?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A value that fits."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecodeFailure:
    """Why a text is not an answer, in terms a model can act on.

    Attributes:
        message: one line per problem.
        field: dotted path of the first field that failed, None when the text is no JSON object.
    """

    message: str
    field: str | None = None


def decode(text: str, mode: DecodeMode, checker: Checker) -> Decoded | DecodeFailure:
    """Decode ``text`` and check it against the output schema.

    ``strict_json`` and ``native_schema`` parse the whole text; ``jsonish`` also takes the JSON out
    of prose or fences and mends it (json-repair) when strict parsing fails.
    """
    try:
        value = _strict(text)
    except ValueError as error:
        if mode != "jsonish":
            return DecodeFailure(f"not one JSON value: {error}; the text began: {preview(text)}")
        value = _mended(text)
    if not isinstance(value, dict):
        return DecodeFailure(f"expected one JSON object; the text began: {preview(text)}")
    problems = checker.problems(value)
    if not problems:
        return Decoded(value)
    field = next((".".join(map(str, p.location)) for p in problems if p.location), None)
    lines = [
        f"{'.'.join(map(str, problem.location)) or 'the object'}: {problem.message}"
        for problem in problems
    ]
    return DecodeFailure("\n".join(lines), field)


def preview(text: str) -> str:
    """Return the beginning of a text, as one JSON string, for messages."""
    return json.dumps(text[:PREVIEW_CHARS], ensure_ascii=False)


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_distinct)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _mended(text: str) -> Any:
    import json_repair

    stripped = text.strip()
    fenced = _FENCE.match(stripped)
    value = json_repair.loads(fenced.group(1) if fenced else stripped, skip_json_loads=True)
    # Prose with several objects becomes a list; the first object is the answer only when it is the
    # only one, otherwise the model said two things and must be asked again.
    if isinstance(value, list):
        objects = [item for item in value if isinstance(item, dict)]
        return objects[0] if len(objects) == 1 else value
    return value
