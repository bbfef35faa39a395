"""Serves embedded models to this process: each is loaded once, on its first use.

A call at temperature 0 with a seed gives the same text on the same machine but for one thing: the
prompt cache computes only the part of a prompt that is new, and the split changes low-order bits of
the logits, which can flip a tie. Byte-exact reruns come from the transcript, not from the model.
"""

from __future__ import annotations

import asyncio
import atexit
import threading
from functools import cache

from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.process import Endpoint, ModelProcess, start_process
from dse_cli.lm.embedded.progress import ProgressSink
from dse_cli.lm.embedded.waiting import in_daemon_thread
from dse_cli.lm.embedded.weights import ensure_weights


class EmbeddedServer:
    """The running models. Usable from any event loop and any thread."""

    def __init__(self) -> None:
        self._loading = threading.Lock()
        self._running: dict[str, ModelProcess] = {}

    async def start(
        self, model: EmbeddedModel, *, progress: ProgressSink | None = None
    ) -> Endpoint:
        """Return where a model answers; fetch its weights and load it if that was not yet done.

        Raises:
            AlteredError: the weights are not the model's.
            ModelUnavailableError: the extra or the weights are missing, or it cannot be loaded.
        """
        running = self._running.get(model.alias)
        if running is not None and running.alive:
            return running.endpoint
        return await in_daemon_thread(lambda: self._start(model, progress))

    async def aclose(self) -> None:
        """End all models; a later :meth:`start` loads again."""
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """End all models; for the end of the interpreter, where no event loop runs."""
        # Without the lock: a download in a thread that nobody waits for any more may hold it.
        for alias in sorted(self._running):
            self._running.pop(alias).end()

    def _start(self, model: EmbeddedModel, progress: ProgressSink | None) -> Endpoint:
        with self._loading:
            running = self._running.get(model.alias)
            if running is None or not running.alive:
                if running is not None:
                    running.end()
                running = start_process(model, ensure_weights(model, progress=progress))
                self._running[model.alias] = running
            return running.endpoint


@cache
def shared_server() -> EmbeddedServer:
    """Return the server of this process, which ends with it."""
    server = EmbeddedServer()
    atexit.register(server.close)
    return server
