"""Replaying: answers come from a transcript, by logical path, never by order of arrival."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from dse_cli.contracts.errors import DivergenceError
from dse_cli.contracts.lm import CallFailure
from dse_cli.lm.failures import error_of
from dse_cli.lm.request_text import nearest_request, request_diff

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.lm.layer import Layer
    from dse_cli.lm.transcript import Transcript

ReplayMode = Literal["strict", "until-divergence"]


class ReplayingLayer:
    """Looks each call up by its path and compares request keys.

    ``strict``: a call that differs or is missing raises. Calls run concurrently, so the one that
    raises first is chance; :meth:`first_divergence` names the first in path order.
    ``until-divergence``: from the first such call on, every call goes to ``inner``.

    Attributes:
        served: calls answered from the transcript.
        live: calls answered by ``inner``.
        diverged_at: path of the call at which a counterfactual left the transcript, or None.
    """

    def __init__(
        self, transcript: Transcript, mode: ReplayMode, inner: Layer | None = None
    ) -> None:
        if (mode == "until-divergence") != (inner is not None):
            raise ValueError("until-divergence needs a layer to go on with, strict has none")
        self._transcript = transcript
        self._inner = inner
        self._asked: set[str] = set()
        self._divergences: dict[str, DivergenceError] = {}
        self.served = 0
        self.live = 0
        self.diverged_at: str | None = None

    async def complete(self, request: LmRequest) -> LmResponse:
        """Answer from the transcript.

        Raises:
            DivergenceError: in strict mode, the call is not the recorded one.
        """
        self._asked.add(request.path)
        if self._inner is not None and self.diverged_at is not None:
            return await self._go_on(self._inner, request)
        call = self._transcript.get(request.path)
        if call is not None and call.request.key == request.key:
            self.served += 1
            if isinstance(call.outcome, CallFailure):
                raise error_of(call.outcome)
            return replace(call.outcome, paid=False)
        error = divergence(self._transcript, request)
        self._divergences[request.path] = error
        if self._inner is None:
            raise error
        self.diverged_at = request.path
        return await self._go_on(self._inner, request)

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()

    def divergences(self) -> list[DivergenceError]:
        """Return all divergences so far, in path order."""
        return [self._divergences[path] for path in sorted(self._divergences)]

    def first_divergence(self) -> DivergenceError | None:
        """Return the first divergence in path order, if there was one."""
        return next(iter(self.divergences()), None)

    def unused(self) -> list[str]:
        """Return the recorded paths that were never asked, sorted."""
        return [path for path in self._transcript.paths() if path not in self._asked]

    async def _go_on(self, inner: Layer, request: LmRequest) -> LmResponse:
        self.live += 1
        return await inner.complete(request)


def divergence(transcript: Transcript, request: LmRequest) -> DivergenceError:
    """Return the error for a call that is not on record, with the nearest that is."""
    call = transcript.get(request.path)
    if call is not None:
        return DivergenceError(
            f"replay diverged at {request.path}: the request differs from the recorded one",
            path=request.path,
            difference=request_diff(call.request, request),
        )
    near = nearest_request(transcript, request)
    return DivergenceError(
        f"replay diverged at {request.path}: no call was recorded there"
        + (f"; the nearest is {near.path}" if near else ""),
        path=request.path,
        difference=request_diff(near, request) if near else "",
    )
