"""Reads a transcript back and verifies every hash, key, spelling and order in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeVar

from dse_cli.canonical import NotCanonicalError, canonical_bytes, sha256_of_text
from dse_cli.contracts.errors import AlteredError
from dse_cli.contracts.lm import (
    CallFailure,
    LmRequest,
    LmResponse,
    Message,
    ModelIdentity,
    Sampling,
    Task,
)
from dse_cli.lm.failures import read_failure
from dse_cli.lm.response_json import read_response
from dse_cli.lm.transcript import (
    Call,
    Transcript,
    TranscriptMissingError,
    call_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

_CALLS = "calls.jsonl"
_TEXTS = "texts.jsonl"
_T = TypeVar("_T")
_ROLES = frozenset({"system", "user", "assistant"})


def read_transcript(calls: bytes | None, texts: bytes | None, name: str) -> Transcript:
    """See :meth:`Transcript.from_files`."""
    for data, file in ((calls, _CALLS), (texts, _TEXTS)):
        if data is None:
            raise TranscriptMissingError(
                f"{name}/{file} does not exist", hint="restore it from version control"
            )
    known = _read_texts(texts or b"", f"{name}/{_TEXTS}")
    transcript = Transcript()
    used: dict[str, str] = {}
    before = ""
    for number, line, entry in _lines(calls or b"", f"{name}/{_CALLS}"):
        where = f"{name}/{_CALLS}:{number}"
        call = _read_call(entry, known, where)
        path = call.request.path
        if path <= before:
            raise _altered(where, f"the path {path!r} is out of order or there twice")
        if canonical_bytes(call_to_json(path, call, used)) != line:
            raise _altered(where, "the line has keys or values that do not belong there")
        transcript.record(call.request, call.outcome)
        before = path
    for number, digest in enumerate(known, start=1):
        if digest not in used:
            raise _altered(f"{name}/{_TEXTS}:{number}", f"no call uses the text {digest}")
    return transcript


def _read_texts(data: bytes, file: str) -> dict[str, str]:
    known: dict[str, str] = {}
    before = ""
    for number, _, entry in _lines(data, file):
        where = f"{file}:{number}"
        digest, text = entry.get("sha256"), entry.get("text")
        if not isinstance(digest, str) or not isinstance(text, str) or len(entry) != 2:
            raise _altered(where, "expected exactly `sha256` and `text`")
        if sha256_of_text(text) != digest:
            raise _altered(where, f"the text does not have the hash {digest}")
        if digest <= before:
            raise _altered(where, f"the hash {digest} is out of order or there twice")
        known[digest] = text
        before = digest
    return known


def _lines(data: bytes, file: str) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
    """Yield number, bytes and object of each line; each must be spelled canonically."""
    lines = data.split(b"\n")
    if lines.pop():
        raise _altered(f"{file}:{len(lines) + 1}", "the last line has no line end: it was cut off")
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            canonical = canonical_bytes(entry)
        except (ValueError, RecursionError, NotCanonicalError):
            raise _altered(f"{file}:{number}", "the line is not JSON") from None
        if not isinstance(entry, dict) or canonical != line:
            raise _altered(f"{file}:{number}", "the line is not a canonical JSON object")
        yield number, line, entry


def _read_call(entry: dict[str, Any], texts: dict[str, str], where: str) -> Call:
    def text_of(digest: Any) -> str:
        if not isinstance(digest, str) or digest not in texts:
            raise _altered(where, f"the text {digest!r} is missing from {_TEXTS}")
        return texts[digest]

    try:
        settings = json.loads(text_of(entry["settings"]))
        named = json.loads(text_of(entry["prompt"]))
        if entry["last"] is not None:
            named.append(entry["last"])
        request = LmRequest(
            identity=ModelIdentity(**settings["model"]),
            messages=tuple(_message(role, text_of(digest)) for role, digest in named),
            sampling=Sampling(**settings["sampling"]),
            response_schema=settings["response_schema"],
            rollout=_of_type(entry["rollout"], int),
            path=_of_type(entry["path"], str),
            task=_task(settings),
        )
        outcome: LmResponse | CallFailure
        if "error" in entry:
            outcome = read_failure(entry["error"])
        else:
            said = entry["response"]
            outcome = read_response({**said, "text": text_of(said["text"])})
        key = entry["request_key"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _altered(where, f"the line has another shape: {error}") from None
    if request.key != key:
        raise _altered(where, f"the request does not have the key {key!r}")
    return Call(request, outcome)


def _message(role: Any, content: str) -> Message:
    if role not in _ROLES:
        raise ValueError(f"unknown role {role!r}")
    return Message(role, content)


def _task(settings: dict[str, Any]) -> Task | None:
    if "task" not in settings:
        return None
    if settings["task"] != "embed":
        raise ValueError(f"unknown task {settings['task']!r}")
    return "embed"


def _of_type(value: Any, kind: type[_T]) -> _T:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, found {value!r}")
    return value


def _altered(where: str, why: str) -> AlteredError:
    return AlteredError(f"{where}: {why}", hint="restore the file from version control")
