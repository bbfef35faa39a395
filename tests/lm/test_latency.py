"""How long an answer took: measured once, kept by the cache, recorded only where it decides."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dse_cli.contracts.errors import ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.disk_cache import DiskCacheLayer, decode_entry, encode_entry
from dse_cli.lm.journal import Journal
from dse_cli.lm.layer import Layer
from dse_cli.lm.recording import RecordingLayer
from dse_cli.lm.response_json import read_response
from dse_cli.lm.retry import RetryLayer
from dse_cli.lm.transcript import Transcript
from tests.lm.calls import FakeTime, RealTransport, ask, routes, say


class Slow:
    """Answers after a while, or fails after one, as the clock of the test counts."""

    def __init__(self, time: FakeTime, seconds: float, failures: int = 0) -> None:
        self._time = time
        self._seconds = seconds
        self._failures = failures

    async def complete(self, request: LmRequest) -> LmResponse:
        self._time.now += self._seconds
        if self._failures:
            self._failures -= 1
            raise ProviderError("busy", status=503, retryable=True)
        return say("ok")

    async def aclose(self) -> None:
        pass


def measured(time: FakeTime, inner: Layer) -> LmResponse:
    layer = RetryLayer(inner, 1, routes(max_retries=3).limits, sleep=time.sleep, clock=time.clock)
    return asyncio.run(layer.complete(ask()))


def test_the_attempt_that_is_answered_counts_without_those_before_it_and_their_waits() -> None:
    time = FakeTime()
    assert measured(time, Slow(time, 0.25, failures=2)).latency_ms == 250
    assert time.now > 0.75


def answering(latency_ms: int | None) -> RealTransport:
    return RealTransport(lambda _: LmResponse("ok", served_model="tiny-1", latency_ms=latency_ms))


@pytest.mark.parametrize(("keep", "known"), [(True, 12), (False, None)])
def test_a_record_has_it_only_when_the_run_needs_it(
    keep: bool, known: int | None, tmp_path: Path
) -> None:
    transcript, journal = Transcript(), Journal(tmp_path / "journal.jsonl")
    layer = RecordingLayer(answering(12), transcript, journal, keep_latency=keep)
    assert asyncio.run(layer.complete(ask(path="p"))).latency_ms == known
    files = transcript.to_files()
    assert (b"latency_ms" in files.calls) == keep
    assert (b"latency_ms" in (tmp_path / "journal.jsonl").read_bytes()) == keep
    again = Transcript.from_files(files.calls, files.texts, "run").get("p")
    assert again is not None
    assert isinstance(again.outcome, LmResponse)
    assert again.outcome.latency_ms == known


def test_a_resumed_run_reads_what_the_first_one_measured(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    first = RecordingLayer(answering(12), Transcript(), Journal(path), keep_latency=True)
    asyncio.run(first.complete(ask(path="p")))
    asyncio.run(first.aclose())
    journal = Journal(path)
    journal.load()
    second = RecordingLayer(answering(99), Transcript(), journal, keep_latency=True)
    assert asyncio.run(second.complete(ask(path="p"))).latency_ms == 12


def test_a_warm_cache_gives_what_the_cold_one_measured(tmp_path: Path) -> None:
    for measured_ms in (12, 99):
        cache = DiskCacheLayer(answering(measured_ms), tmp_path)
        assert asyncio.run(cache.complete(ask())).latency_ms == 12
        asyncio.run(cache.aclose())


def test_an_entry_from_before_is_read_and_its_latency_is_unknown() -> None:
    key = ask().key
    old = encode_entry(key, say("ok"))
    assert "latency" not in old
    assert decode_entry(old, key).latency_ms is None


@pytest.mark.parametrize("value", [-1, 1.5, "1", True, None])
def test_a_latency_that_is_no_count_is_refused(value: object) -> None:
    data = {**say("ok").to_json(), "latency_ms": value}
    with pytest.raises(ValueError, match="wrong type"):
        read_response(data)
