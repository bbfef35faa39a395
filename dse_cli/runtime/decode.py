"""Model text to a value that fits the output schema, or the reason why not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import NotCanonicalError, canonical_bytes
from dse_cli.contracts.schema import DEEPEST, nests_deeper

if TYPE_CHECKING:
    from dse_cli.contracts.params import DecodeMode
    from dse_cli.contracts.schema import Checker, SchemaProblem

PREVIEW_CHARS = 300
#: Longest text of problems that a model is told; with the prompt, it bounds what a repair costs.
PROBLEM_CHARS = 1_000

#: Open braces beyond which a text is not mended: a model that fell into repeating one character,
#: over which json-repair would spend seconds.
MOST_OPEN = 100


@dataclass(frozen=True, slots=True)
class Decoded:
    """A value that fits."""

    value: dict[str, Any]


@dataclass(frozen=True, slots=True)
class DecodeFailure:
    """Why a text is not an answer, in terms a model can act on.

    Attributes:
        message: one line per problem, at most :data:`PROBLEM_CHARS` characters and a remark.
        field: dotted path of the first field that failed, None when the text is no JSON object.
    """

    message: str
    field: str | None = None


class _DuplicateKeyError(ValueError):
    """One object says two things about one key; nothing may choose between them."""


def decode(text: str, mode: DecodeMode, checker: Checker) -> Decoded | DecodeFailure:
    """Decode ``text`` and check it against the output schema.

    ``strict_json`` and ``native_schema`` parse the whole text; ``jsonish`` also takes the JSON out
    of prose or fences and mends it (json-repair) when strict parsing fails. A text with two
    different answers is a failure in every mode.
    """
    try:
        value = _strict(text)
    except (ValueError, RecursionError) as error:
        if mode != "jsonish" or isinstance(error, _DuplicateKeyError):
            return DecodeFailure(f"not one JSON value: {error}; the text began: {preview(text)}")
        return _from_prose(text, checker)
    return _checked(value, text, checker)


def preview(text: str) -> str:
    """Return the beginning of a text, as one JSON string, for messages."""
    return json.dumps(text[:PREVIEW_CHARS], ensure_ascii=False)


def _checked(value: Any, text: str, checker: Checker) -> Decoded | DecodeFailure:
    if not isinstance(value, dict):
        return DecodeFailure(f"expected one JSON object; the text began: {preview(text)}")
    if nests_deeper(value):
        return DecodeFailure(
            f"nested more than {DEEPEST} levels deep; the text began: {preview(text)}"
        )
    try:
        # Outputs are hashed and shown to metrics: 1e999, 2^53 + 1 and half a surrogate pair are
        # spelled in JSON but have no exact value.
        canonical_bytes(value)
    except NotCanonicalError as error:
        return DecodeFailure(f"a value has no exact JSON form: {error}")
    problems = checker.problems(value)
    if not problems:
        return Decoded(value)
    field = next((_dotted(problem) for problem in problems if problem.location), None)
    lines = [f"{_dotted(problem) or 'the object'}: {problem.message}" for problem in problems]
    return DecodeFailure(_shortened("\n".join(lines)), field)


def _dotted(problem: SchemaProblem) -> str:
    return ".".join(map(str, problem.location))


def _shortened(message: str) -> str:
    left_out = len(message) - PROBLEM_CHARS
    return message if left_out <= 0 else f"{message[:PROBLEM_CHARS]}... ({left_out} more)"


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_distinct)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKeyError("a key stands twice in one object")
    return value


def _from_prose(text: str, checker: Checker) -> Decoded | DecodeFailure:
    """Return the one object in a text that fits; two different ones are two answers."""
    objects: dict[bytes, Decoded | DecodeFailure] = {}
    for part in _braced(text):
        try:
            value = _mended(part)
        except _DuplicateKeyError as error:
            return DecodeFailure(f"not one JSON value: {error}; the text began: {preview(text)}")
        if isinstance(value, dict):
            found = _checked(value, text, checker)
            key = canonical_bytes(value) if isinstance(found, Decoded) else part.encode()
            objects[key] = found
    fitting = [found for found in objects.values() if isinstance(found, Decoded)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting and len(objects) == 1:
        return next(iter(objects.values()))
    number = len(fitting or objects)
    return DecodeFailure(
        f"expected one JSON object, found {number}; the text began: {preview(text)}"
    )


def _braced(text: str) -> Iterator[str]:
    """Yield each outermost ``{...}`` of a text; the last may lack its end."""
    depth, start, in_string, escaped = 0, 0, False, False
    for index, char in enumerate(text):
        if depth and in_string:
            in_string = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif depth and char == '"':
            in_string = True
        elif char == "{":
            start = start if depth else index
            depth += 1
        elif char == "}" and depth:
            depth -= 1
            if not depth:
                yield text[start : index + 1]
    if depth:
        yield text[start:]


def _mended(part: str) -> Any:
    """Return the value of one ``{...}``, mended if need be.

    Raises:
        _DuplicateKeyError: it is JSON but for a key that stands twice.
    """
    try:
        return _strict(part)
    except _DuplicateKeyError:
        raise
    except (ValueError, RecursionError):
        if part.count("{") - part.count("}") > MOST_OPEN:
            return None
        import json_repair

        try:
            return json_repair.loads(part, skip_json_loads=True)
        except (ValueError, RecursionError):
            return None
