"""``dse_cli.load``: a compiled signature as a callable, sync and async."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from dse_cli.contracts.errors import DseError, ExitCode, InfrastructureError
from dse_cli.project.project import Project
from dse_cli.workflows.serving.predict import ServedPolicy
from dse_cli.workflows.session import RunOptions

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.runtime.prediction import Prediction

T = TypeVar("T")


class PredictionFailedError(DseError):
    """The policy gave no output: it did not decode, or a limit of the policy ended it."""

    exit_code = ExitCode.QUALITY
    outcome = "decode"


class LoadedSignature:
    """A signature with its active policy.

    Call it with the input's fields as keywords; it returns the output object::

        route = dse_cli.load("route-ticket")
        route(ticket="Where is my parcel?")["queue"]
        await route.acall(ticket="Where is my parcel?")

    While a canary runs, a share of the requests is answered by it. Say what a request belongs to,
    and all that belongs together gets one policy::

        route.with_key("user-7")(ticket="Where is my parcel?")
    """

    def __init__(self, served: ServedPolicy) -> None:
        self._served = served
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    @property
    def compiled_id(self) -> str:
        """Id of the active policy; a canary, while one runs, is another."""
        return self._served.policy.id

    def with_key(self, key: str) -> KeyedSignature:
        """Return this signature for the requests of one user, thread or account.

        A method and not a keyword: no input field can have its name.
        """
        return KeyedSignature(partial(self._call, key), partial(self._acall, key))

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Predict and wait for the output.

        Safe to call from a thread that runs an event loop: calls run on a loop of their own.

        Raises:
            UsageError: the input does not fit.
            PredictionFailedError: the answer did not decode.
            InfrastructureError: an outage, a timeout or a budget.
        """
        return self._call(None, inputs)

    async def acall(self, **inputs: Any) -> dict[str, Any]:
        """Predict without blocking the caller's event loop; cancelling it cancels the call."""
        return await self._acall(None, inputs)

    def close(self) -> None:
        """Close connections and the embedded server."""
        if self._loop is not None and self._thread is not None:
            self._wait(self._served.aclose())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = self._thread = None

    def _call(self, key: str | None, inputs: dict[str, Any]) -> dict[str, Any]:
        return self._wait(self._predict(key, inputs))

    async def _acall(self, key: str | None, inputs: dict[str, Any]) -> dict[str, Any]:
        future = asyncio.run_coroutine_threadsafe(self._predict(key, inputs), self._own_loop())
        return await asyncio.wrap_future(future)

    async def _predict(self, key: str | None, inputs: dict[str, Any]) -> dict[str, Any]:
        return output_of(await self._served.predict(inputs, key=key))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._own_loop()).result()

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        # One loop for the life of the object: connections and the embedded server belong to it.
        with self._starting:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                run = self._loop.run_forever
                self._thread = threading.Thread(target=run, name="dse", daemon=True)
                self._thread.start()
            return self._loop


class KeyedSignature:
    """A signature for requests that belong together: one policy answers all of them."""

    def __init__(
        self,
        call: Callable[[dict[str, Any]], dict[str, Any]],
        acall: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]],
    ) -> None:
        self._call, self._acall = call, acall

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Predict and wait for the output; see :class:`LoadedSignature`."""
        return self._call(inputs)

    async def acall(self, **inputs: Any) -> dict[str, Any]:
        """Predict without blocking the caller's event loop; cancelling it cancels the call."""
        return await self._acall(inputs)


def output_of(prediction: Prediction) -> dict[str, Any]:
    """Return the output of a prediction, or raise its error by kind."""
    if prediction.output is not None:
        return prediction.output
    error = prediction.error
    message = "no output" if error is None else error.message
    if error is not None and error.kind != "decode":
        raise InfrastructureError(f"{error.kind}: {message}")
    raise PredictionFailedError(f"the answer did not decode: {message}")


def load_signature(name: str, *, project: str | Path | None = None) -> LoadedSignature:
    """Return a signature with its active policy; see :func:`dse_cli.load`."""
    opened = Project.open(root=project) if project is not None else Project.open()
    options = RunOptions(cache=opened.settings().cache_dir)
    return LoadedSignature(ServedPolicy(opened, name, options))
