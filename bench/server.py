"""A loopback OpenAI-compatible server that answers at once, or after a fixed latency.

It runs in a process of its own, so that its work is not counted into either side's, and counts what
it is sent: a benchmark checks that both sides asked it as often as they have rows. The model's name
says what to answer: ``NAME-chat`` in the format of DSPy's chat adapter, anything else as JSON.

    python -m bench.server --latency-ms 200

prints its port, and ends when its standard input is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys

_ANSWERS = {
    b"chat": "[[ ## queue ## ]]\nbilling\n\n[[ ## completed ## ]]\n",
    b"json": '{"queue":"billing"}',
}


def _response(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: keep-alive\r\n\r\n"
    )
    return head.encode() + body


def _completion(text: str) -> bytes:
    return _response(
        json.dumps(
            {
                "id": "chatcmpl-bench",
                "object": "chat.completion",
                "created": 1,
                "model": "bench",
                "choices": [
                    {
                        "index": 0,
                        "message": {"role": "assistant", "content": text},
                        "finish_reason": "stop",
                    }
                ],
                "usage": {"prompt_tokens": 200, "completion_tokens": 8, "total_tokens": 208},
            }
        ).encode()
    )


class _Counts:
    """What arrived since the last look: requests, and bytes of their bodies."""

    def __init__(self) -> None:
        self.requests = 0
        self.bytes = 0

    def take(self) -> bytes:
        """Return both as an HTTP answer and start again from 0."""
        body = json.dumps({"requests": self.requests, "bytes": self.bytes}).encode()
        self.requests = self.bytes = 0
        return _response(body)


class _Connection(asyncio.Protocol):
    """One keep-alive connection; parses only what it must, so that it is never what is measured."""

    def __init__(self, counts: _Counts, latency_s: float) -> None:
        self._counts = counts
        self._latency_s = latency_s
        self._completions = {name: _completion(text) for name, text in _ANSWERS.items()}
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = 0
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if head.startswith(b"get"):
            self._write(self._counts.take())
            return
        self._counts.requests += 1
        self._counts.bytes += len(body)
        answer = self._completions[b"chat" if b"-chat" in body else b"json"]
        if self._latency_s:
            asyncio.get_running_loop().call_later(self._latency_s, self._write, answer)
        else:
            self._write(answer)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def _serve(latency_s: float) -> None:
    loop = asyncio.get_running_loop()
    counts = _Counts()
    server = await loop.create_server(
        lambda: _Connection(counts, latency_s), "127.0.0.1", 0, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.buffer.read)
    server.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args().latency_ms / 1000))
