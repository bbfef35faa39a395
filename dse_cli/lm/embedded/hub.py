"""The publisher's hub as a source: one file over HTTP, resumed with range requests."""

from __future__ import annotations

import http.client
import os
import queue
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.progress import ProgressSink
from dse_cli.lm.embedded.sources import SourceError

_DEFAULT_HUB = "https://huggingface.co"
_BLOCK = 1 << 18
_STALL_S = 15.0  #: no byte for so long ends one attempt
_ATTEMPTS = 5  #: attempts in a row that bring no byte


class HubSource:
    """Downloads ``<hub>/<repo>/resolve/main/<file>``.

    ``HF_ENDPOINT`` names another hub with the same layout and ``HF_HUB_OFFLINE=1`` leaves it out,
    as for the publisher's own tools. Proxies and certificates come from the usual variables.
    """

    name = "the publisher's hub"
    partial = "hub.bin"

    def __init__(self, hub: str | None = None, *, answer_within_s: float = 6.0) -> None:
        """Make a source.

        Args:
            hub: base URL; from the environment when None.
            answer_within_s: a hub that does not answer for so long is not reachable. Short, because
                in a closed network the next source should have its turn.
        """
        self._hub = (hub or os.environ.get("HF_ENDPOINT") or _DEFAULT_HUB).rstrip("/")
        self._answer_within_s = answer_within_s

    def fetch(self, model: EmbeddedModel, work: Path, progress: ProgressSink) -> Path:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
            raise SourceError("left out, HF_HUB_OFFLINE is set")
        url = f"{self._hub}/{model.hub_repo}/resolve/main/{model.hub_file}"
        if not url.startswith(("https://", "http://")):
            raise SourceError(f"not an http(s) address: {self._hub}")
        path = work / self.partial
        idle = 0
        while (before := _size(path)) < model.size:
            try:
                self._continue(url, path, model, progress)
            except SourceError:
                path.unlink(missing_ok=True)  # what was kept does not fit what is offered
                raise
            except (OSError, http.client.HTTPException) as error:
                refused = isinstance(error, urllib.error.HTTPError) and error.code < 500
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                idle = idle + 1 if _size(path) == before else 0
                if refused or before == 0 == _size(path) or idle >= _ATTEMPTS:
                    raise SourceError(_reason(error)) from error
        return path

    def _continue(self, url: str, path: Path, model: EmbeddedModel, progress: ProgressSink) -> None:
        """Append what one connection gives; returns early when the connection ends early."""
        start = _size(path)
        request = urllib.request.Request(url)  # noqa: S310 - http(s), checked in fetch()
        request.add_header("Accept-Encoding", "identity")
        if start:
            request.add_header("Range", f"bytes={start}-")
        with _open_within(request, self._answer_within_s) as response:
            start = _checked_start(response, start, model)
            with path.open("r+b" if start else "wb") as stream:
                stream.seek(start)
                done = start
                while done < model.size and (
                    block := response.read(min(_BLOCK, model.size - done))
                ):
                    stream.write(block)
                    done += len(block)
                    progress.advance(done, model.size)
        if done == start:
            raise ConnectionError("the connection ended without data")


def _checked_start(response: Any, start: int, model: EmbeddedModel) -> int:
    """Return the offset the answer begins at; refuse an answer that cannot be the model."""
    if response.status == 206:
        given = response.headers.get("Content-Range", "")
        if given != f"bytes {start}-{model.size - 1}/{model.size}":
            raise SourceError(f"answered the range {given!r} to a request from byte {start}")
        return start
    length = response.headers.get("Content-Length")
    if length is not None and length != str(model.size):
        raise SourceError(f"offers {length} bytes, the model has {model.size}")
    return 0  # a whole answer, although a range was asked for


def _open_within(request: urllib.request.Request, seconds: float) -> Any:
    """Open a URL or give up after ``seconds`` in all.

    A socket timeout alone is per address and does not cover name resolution: behind a firewall that
    drops packets, a host with eight addresses would take eight timeouts.
    """
    answers: queue.Queue[Any] = queue.Queue()

    def work() -> None:
        try:
            answers.put(urllib.request.urlopen(request, timeout=_STALL_S))  # noqa: S310
        except (OSError, http.client.HTTPException, ValueError) as error:
            answers.put(error)

    threading.Thread(target=work, daemon=True, name="dse-hub").start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds:g} s") from None
    if isinstance(answer, ValueError):
        raise SourceError(str(answer))
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP status {error.code}"
    if isinstance(error, urllib.error.URLError):
        return f"not reachable ({error.reason})"
    return str(error) or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
