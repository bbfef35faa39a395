"""A real OpenAI-compatible server on loopback, in a thread, that misbehaves on demand."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One HTTP answer. ``body`` is sent as it is; ``hang`` waits until the server stops."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def answer(text: str | None, **changes: Any) -> Reply:
    """A chat completion; ``changes`` replace top-level keys, None removes one."""
    body: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "served-model",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
    }
    body |= changes
    body = {key: value for key, value in body.items() if value is not None}
    return Reply(json.dumps(body).encode())


def embedding(values: Any, **changes: Any) -> Reply:
    """An answer of ``/embeddings`` to one text; ``changes`` as in :func:`answer`."""
    body: dict[str, Any] = {
        "object": "list",
        "model": "served-embedder",
        "data": [{"object": "embedding", "index": 0, "embedding": values}],
        "usage": {"prompt_tokens": 4, "total_tokens": 4},
    }
    body |= changes
    return Reply(json.dumps({k: v for k, v in body.items() if v is not None}).encode())


def failure(status: int, message: str = "no", code: str | None = None, **headers: str) -> Reply:
    """An error in OpenAI's shape; header names are given with underscores."""
    error = {"message": message, "type": "error", "code": code}
    spelled = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps({"error": error}).encode(), status, spelled)


HANG = Reply(b"", hang=True)
CUT = Reply(b'{"choices": [', cut=True)


class OpenAiServer:
    """Answers from ``replies`` in order, then from ``otherwise``; keeps what it saw."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.otherwise: Callable[[Seen], Reply] = lambda _: answer("hello")
        self.seen: list[Seen] = []
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    def next_reply(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            return self.replies.pop(0) if self.replies else self.otherwise(seen)

    @contextmanager
    def running(self) -> Iterator[OpenAiServer]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.stopping.set()
            self._http.shutdown()
            self._http.server_close()
            thread.join()


def _handler(server: OpenAiServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.next_reply(Seen(self.path, headers, json.loads(raw)))
            if reply.hang:
                server.stopping.wait(30)
                self.close_connection = True
                return
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(reply.body) + 100 * reply.cut))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)
            if reply.cut:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
