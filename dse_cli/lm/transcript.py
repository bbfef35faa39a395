"""The transcript of a run: every model call under its logical path, as two plain-text files.

``calls.jsonl``, sorted by path, names texts by hash; ``texts.jsonl``, sorted by hash, holds each
distinct text once. Both are functions of the calls alone: no clock, no order of arrival, no cache
state. This module does no IO; reading the files back is in :mod:`dse_cli.lm.transcript_reader`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from dse_cli.canonical import canonical_bytes, canonical_text, sha256_of_text
from dse_cli.contracts.errors import IntegrityError
from dse_cli.contracts.lm import CallFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from dse_cli.contracts.lm import LmRequest, LmResponse


class TranscriptMissingError(IntegrityError):
    """There is no transcript where one must be. Not the same as a corrupt one."""

    outcome = "missing"


class PathReusedError(Exception):
    """A bug: two different calls were made under one logical path."""


@dataclass(frozen=True, slots=True)
class TranscriptFiles:
    """The bytes of ``calls.jsonl`` and ``texts.jsonl``."""

    calls: bytes
    texts: bytes

    @property
    def digest(self) -> str:
        """``sha256:...`` over both files; the length of the first keeps the border fixed."""
        running = hashlib.sha256(f"{len(self.calls)}\n".encode())
        running.update(self.calls)
        running.update(self.texts)
        return f"sha256:{running.hexdigest()}"


class Call(NamedTuple):
    """One recorded call: a request and its answer, or why there was none."""

    request: LmRequest
    outcome: LmResponse | CallFailure


class Transcript:
    """A map from logical path to call."""

    def __init__(self) -> None:
        self._calls: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __contains__(self, path: object) -> bool:
        return path in self._calls

    def get(self, path: str) -> Call | None:
        """Return the call at a path, or None."""
        return self._calls.get(path)

    def paths(self) -> list[str]:
        """Return all paths, sorted."""
        return sorted(self._calls)

    def calls(self) -> Iterator[tuple[str, Call]]:
        """Yield path and call in path order."""
        for path in self.paths():
            yield path, self._calls[path]

    def record(self, request: LmRequest, outcome: LmResponse | CallFailure) -> None:
        """Keep a call under ``request.path``; the same call again changes nothing.

        Raises:
            PathReusedError: no path, or another request or outcome is already there.
        """
        if not request.path:
            raise PathReusedError("a call without a logical path cannot be recorded")
        known = self._calls.get(request.path)
        if known is None:
            self._calls[request.path] = Call(request, outcome)
        elif known.request.key != request.key or known.outcome != outcome:
            raise PathReusedError(f"two different calls under the path {request.path!r}")

    def forget(self, paths: Iterable[str]) -> None:
        """Drop the calls of a batch that was rolled back; unknown paths are fine."""
        for path in paths:
            self._calls.pop(path, None)

    def to_files(self) -> TranscriptFiles:
        """Return both files."""
        texts: dict[str, str] = {}
        lines = [
            canonical_bytes(call_to_json(path, call, texts)) + b"\n" for path, call in self.calls()
        ]
        return TranscriptFiles(
            calls=b"".join(lines),
            texts=b"".join(text_line(digest, texts[digest]) for digest in sorted(texts)),
        )

    @property
    def digest(self) -> str:
        """``sha256:...`` over both files."""
        return self.to_files().digest

    @classmethod
    def from_files(cls, calls: bytes | None, texts: bytes | None, name: str) -> Transcript:
        """Read both files back, trusting nothing in them; None is a file that does not exist.

        Args:
            calls, texts: the bytes of the files.
            name: the folder they came from, for messages.

        Raises:
            TranscriptMissingError: a file does not exist.
            AlteredError: a line is not what its hashes say; names the file and the line.
        """
        from dse_cli.lm.transcript_reader import read_transcript

        return read_transcript(calls, texts, name)


def call_to_json(path: str, call: Call, texts: dict[str, str]) -> dict[str, Any]:
    """Return the JSON of one line of ``calls.jsonl`` and add its texts to ``texts``."""

    def name(text: str) -> str:
        digest = sha256_of_text(text)
        texts[digest] = text
        return digest

    request, outcome = call
    # All messages but the last, and the settings, are the same for every call of a candidate: each
    # is one text, and the line of a call is short however long its prompt.
    named = [[message.role, name(message.content)] for message in request.messages]
    settings = {
        "model": request.identity.to_json(),
        "response_schema": request.response_schema,
        "sampling": request.sampling.to_json(),
        **({} if request.task is None else {"task": request.task}),
    }
    ended: dict[str, Any]
    if isinstance(outcome, CallFailure):
        ended = {"error": outcome.to_json()}
    else:
        ended = {"response": {**outcome.to_json(), "text": name(outcome.text)}}
    return {
        "path": path,
        "request_key": request.key,
        "prompt": name(canonical_text(named[:-1])),
        "last": named[-1] if named else None,
        "settings": name(canonical_text(settings)),
        "rollout": request.rollout,
        **ended,
    }


def text_line(digest: str, text: str) -> bytes:
    """Return one line of ``texts.jsonl``."""
    return canonical_bytes({"sha256": digest, "text": text}) + b"\n"
