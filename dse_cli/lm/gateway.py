"""The gateway: the layers put together.

::

    budget                 charges every answer, whoever gave it, and refuses what does not fit
    └ recording            the transcript of this run; a resumed run answers from its journal
      └ replaying          only in a replay; a strict one ends here
        └ single-flight
          └ disk cache     never below a replay
            └ ready -> limits -> circuit -> retry and timeout -> transport

The budget is outermost, although DESIGN section 2 names it after record and replay: a call answered
by a journal or a transcript must be charged like a fresh one, or a resumed or replayed run would
stop at another call than the run it repeats.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.lm.budget import BudgetLayer, BudgetLimits
from dse_cli.lm.circuit import CircuitLayer
from dse_cli.lm.disk_cache import DiskCacheLayer
from dse_cli.lm.limits import LimitsLayer
from dse_cli.lm.litellm_transport import LiteLlmTransport
from dse_cli.lm.meter import Meter
from dse_cli.lm.ready import ReadyLayer
from dse_cli.lm.recording import RecordingLayer
from dse_cli.lm.replaying import ReplayingLayer, ReplayMode
from dse_cli.lm.retry import RetryLayer
from dse_cli.lm.single_flight import SingleFlightLayer
from dse_cli.lm.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.lm.journal import Journal
    from dse_cli.lm.layer import Layer
    from dse_cli.lm.routes import Routes


@dataclass(frozen=True, slots=True)
class Replay:
    """What to replay, and how."""

    transcript: Transcript
    mode: ReplayMode = "strict"


@dataclass(slots=True)
class Gateway:
    """A stack of layers and what a run needs to know of it.

    Attributes:
        top: the outermost layer.
        meter: what was charged and paid.
        transcript: the calls of this run.
        replaying: the replay, for its divergences, or None.
        recording: for the count of resumed calls.
        retrying: for the count of retries, or None in a strict replay.
    """

    top: Layer
    meter: Meter
    transcript: Transcript
    recording: RecordingLayer
    replaying: ReplayingLayer | None = None
    retrying: RetryLayer | None = None

    async def complete(self, request: LmRequest) -> LmResponse:
        return await self.top.complete(request)

    async def aclose(self) -> None:
        await self.top.aclose()


def build_gateway(
    routes: Routes | None,
    *,
    seed: int,
    transport: Layer | None = None,
    budget: BudgetLimits | None = None,
    cache_folder: Path | None = None,
    journal: Journal | None = None,
    replay: Replay | None = None,
    meter: Meter | None = None,
    transcript: Transcript | None = None,
    keep_latency: bool = False,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Gateway:
    """Compose a gateway.

    Args:
        routes: where models live and their limits; None only for a strict replay.
        seed: of the run, for the jitter of retries.
        transport: asked instead of LiteLLM (a scripted one, say).
        budget: limits on what is charged; none by default.
        cache_folder: folder of the disk cache; None is no cache.
        journal: already loaded if the run is resumed.
        replay: answer from a transcript first. A replay never reads the cache.
        meter, transcript: fresh ones by default.
        keep_latency: record how long each answer took, because it decides something.
        sleep, clock: monotonic seconds; injected by tests.
    """
    meter = Meter() if meter is None else meter
    transcript = Transcript() if transcript is None else transcript
    replaying: ReplayingLayer | None = None
    retrying: RetryLayer | None = None
    source: Layer
    if replay is not None and replay.mode == "strict":
        source = replaying = ReplayingLayer(replay.transcript, "strict")
    else:
        if routes is None:
            raise ValueError("only a strict replay needs no routes")
        retrying, live = _live(routes, transport, seed, sleep, clock)
        if cache_folder is not None and replay is None:
            live = DiskCacheLayer(live, cache_folder)
        source = SingleFlightLayer(live)
        if replay is not None:
            source = replaying = ReplayingLayer(replay.transcript, replay.mode, source)
    recording = RecordingLayer(source, transcript, journal, keep_latency=keep_latency)
    top = BudgetLayer(recording, meter, budget or BudgetLimits())
    return Gateway(top, meter, transcript, recording, replaying, retrying)


def _live(
    routes: Routes,
    transport: Layer | None,
    seed: int,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> tuple[RetryLayer, Layer]:
    """Return the part of the stack that reaches a model: its retry layer, and its top."""

    async def admit(request: LmRequest) -> None:
        await limits.admit(request)

    prepare = None
    if transport is None:
        transport = litellm = LiteLlmTransport(routes)
        prepare = litellm.prepare
    retrying = RetryLayer(transport, seed, routes.limits, sleep=sleep, admit=admit, clock=clock)
    circuit = CircuitLayer(retrying, clock=clock)
    limits = LimitsLayer(circuit, routes.limits, clock=clock, sleep=sleep)
    return retrying, limits if prepare is None else ReadyLayer(limits, prepare)
