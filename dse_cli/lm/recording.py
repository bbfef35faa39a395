"""Recording: every completed call goes into the transcript, and into the journal if any."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import ProviderError
from dse_cli.contracts.lm import CallFailure, LmResponse
from dse_cli.lm.failures import error_of, failure_of
from dse_cli.lm.transcript import PathReusedError, Transcript

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest
    from dse_cli.lm.journal import Journal
    from dse_cli.lm.layer import Layer


class RecordingLayer:
    """Records what passes, and answers what is already on record without asking again.

    A call is on record when the transcript holds its path, or the loaded journal its path and
    request (a resumed run). A call that fails after its retries is recorded as a failure, because
    it changes what comes next; the journal does not keep it, so that a resumed run asks again.

    How long an answer took is dropped here unless ``keep_latency``: a number that differs from run
    to run and decides nothing has no place in a record, and nothing above can come to depend on it.

    Attributes:
        resumed: calls answered from the journal.
    """

    def __init__(
        self,
        inner: Layer,
        transcript: Transcript,
        journal: Journal | None = None,
        *,
        keep_latency: bool = False,
    ) -> None:
        self._inner = inner
        self._transcript = transcript
        self._journal = journal
        self._keep_latency = keep_latency
        self.resumed = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        """Answer and record a call.

        Raises:
            PathReusedError: a bug: another call was recorded under this path.
        """
        known = self._transcript.get(request.path)
        if known is not None:
            if known.request.key != request.key:
                raise PathReusedError(f"two different calls under the path {request.path!r}")
            return _again(known.outcome, paid=False)
        found = self._journal.find(request) if self._journal is not None else None
        if found is not None:
            self.resumed += 1
            self._transcript.record(request, found)
            return replace(found, paid=False)
        if not request.path:
            raise PathReusedError("a call without a logical path cannot be recorded")
        try:
            response = self._kept(await self._inner.complete(request))
        except ProviderError as error:
            if request.path not in self._transcript:
                self._transcript.record(request, failure_of(error))
            raise
        # The same path may have been asked twice at once: the first answer is the record.
        known = self._transcript.get(request.path)
        if known is not None and known.request.key == request.key:
            return _again(known.outcome, paid=response.paid)
        self._transcript.record(request, response)
        if self._journal is not None:
            self._journal.append(request, response)
        return response

    def _kept(self, response: LmResponse) -> LmResponse:
        if self._keep_latency or response.latency_ms is None:
            return response
        return response.timed(None)

    async def aclose(self) -> None:
        if self._journal is not None:
            self._journal.sync()
            self._journal.close()
        await self._inner.aclose()


def _again(outcome: LmResponse | CallFailure, *, paid: bool) -> LmResponse:
    """Answer with what is on record, or fail as it did."""
    if isinstance(outcome, CallFailure):
        raise error_of(outcome)
    return replace(outcome, paid=paid)
