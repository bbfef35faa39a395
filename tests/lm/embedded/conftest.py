"""A tiny model in place of the real one, and everything that can deliver it."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dse_cli.lm.embedded.models import EmbeddedModel, PartPackages
from dse_cli.lm.embedded.part_packages import WatchBytes
from dse_cli.lm.embedded.sources import SourceError

CHUNKS = (b"a" * 1000, b"b" * 1000, b"c" * 700)
WHOLE = b"".join(CHUNKS)


@pytest.fixture
def model() -> EmbeddedModel:
    return EmbeddedModel(
        alias="tiny",
        name="tiny-q4",
        sha256=hashlib.sha256(WHOLE).hexdigest(),
        size=len(WHOLE),
        hub_repo="org/tiny",
        hub_file="tiny.gguf",
        parts=PartPackages("tiny-part{i}", "1.0", "tiny_part{i}/data/part{i:02d}.bin", len(CHUNKS)),
        licence="Apache-2.0",
        context_tokens=64,
    )


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any) -> Path:
    folder = tmp_path / "models"
    if "local_model" not in request.keywords:
        monkeypatch.setenv("DSE_MODELS_DIR", str(folder))
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return folder


@dataclass
class Recorder:
    """A progress sink that keeps what it is told."""

    notes: list[str] = field(default_factory=list)
    steps: list[tuple[int, int]] = field(default_factory=list)

    def advance(self, done: int, total: int) -> None:
        self.steps.append((done, total))

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@dataclass
class FakeIndex:
    """Makes wheels; ``fail_at`` is the part at which it breaks off, once."""

    chunks: dict[int, bytes]
    fail_at: int | None = None
    extra_member: str | None = None
    broken_zip: bool = False
    asked: list[str] = field(default_factory=list)

    def __call__(self, requirement: str, folder: Path, watch: WatchBytes) -> Path:
        self.asked.append(requirement)
        part = int(requirement.removeprefix("tiny-part").removesuffix("==1.0"))
        if part == self.fail_at:
            self.fail_at = None
            raise SourceError("the connection broke")
        wheel = folder / f"tiny_part{part}-1.0-py3-none-any.whl"
        if self.broken_zip:
            wheel.write_bytes(b"<html>log in first</html>")
            return wheel
        with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"tiny_part{part}/__init__.py", "raise SystemExit('imported')")
            archive.writestr(f"tiny_part{part}/data/part{part:02d}.bin", self.chunks[part])
            if self.extra_member:
                archive.writestr(self.extra_member, b"x")
        watch(len(self.chunks[part]))
        return wheel


@pytest.fixture
def index() -> FakeIndex:
    return FakeIndex(dict(enumerate(CHUNKS, start=1)))


@dataclass
class Hub:
    """A hub on loopback; ``cut_after`` bytes it hangs up, as often as ``cuts`` says."""

    url: str = ""
    body: bytes = WHOLE
    status: int = 200
    cut_after: int | None = None
    cuts: int = 1
    ranges: list[str | None] = field(default_factory=list)
    ignore_ranges: bool = False


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.ranges.append(asked)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = 0
            if asked and not state.ignore_ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                self.send_response(206)
                end = len(state.body) - 1
                self.send_header("Content-Range", f"bytes {start}-{end}/{len(state.body)}")
            else:
                self.send_response(200)
            data = state.body[start:]
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if state.cut_after is not None and state.cuts > 0:
                state.cuts -= 1
                data = data[: state.cut_after]
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False  # so that server_close() waits for their sockets
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    server.server_close()
    thread.join()
