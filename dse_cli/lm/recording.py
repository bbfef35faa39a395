"""Recording: every completed call goes into the transcript, and into the journal if any."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dse_cli.lm.transcript import PathReusedError, Transcript

if TYPE_CHECKING:
    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.lm.journal import Journal
    from dse_cli.lm.layer import Layer


class RecordingLayer:
    """Records what passes, and answers what is already on record without asking again.

    A call is on record when the transcript holds its path, or the loaded journal its path and
    request (a resumed run). Errors are not recorded: they are not answers.

    Attributes:
        resumed: calls answered from the journal.
    """

    def __init__(
        self, inner: Layer, transcript: Transcript, journal: Journal | None = None
    ) -> None:
        self._inner = inner
        self._transcript = transcript
        self._journal = journal
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
            return replace(known.response, paid=False)
        found = self._journal.find(request) if self._journal is not None else None
        if found is not None:
            self.resumed += 1
            self._transcript.record(request, found)
            return replace(found, paid=False)
        if not request.path:
            raise PathReusedError("a call without a logical path cannot be recorded")
        response = await self._inner.complete(request)
        # The same path may have been asked twice at once: the first answer is the record.
        known = self._transcript.get(request.path)
        if known is not None and known.request.key == request.key:
            return replace(known.response, paid=response.paid)
        self._transcript.record(request, response)
        if self._journal is not None:
            self._journal.append(request, response)
        return response

    async def aclose(self) -> None:
        if self._journal is not None:
            self._journal.sync()
            self._journal.close()
        await self._inner.aclose()
