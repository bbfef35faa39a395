from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.errors import AlteredError, CallTimeoutError, ProviderError
from dse_cli.contracts.lm import CallFailure
from dse_cli.lm.journal import Journal
from dse_cli.lm.recording import RecordingLayer
from dse_cli.lm.replaying import ReplayingLayer
from dse_cli.lm.transcript import PathReusedError, Transcript
from tests.lm.calls import RealTransport, ask, say


def journal_with(path: Path, count: int = 3) -> bytes:
    journal = Journal(path)
    for number in range(count):
        journal.append(ask(str(number)), say(f"answer {number}\u2028\r\n"))
    journal.sync()
    journal.close()
    return path.read_bytes()


def test_a_failed_call_is_on_record_and_fails_again() -> None:
    transcript = Transcript()
    error: list[Exception] = [ProviderError("down", status=503)]
    transport = RealTransport(lambda _: error.pop() if error else say("up"))
    layer = RecordingLayer(transport, transcript)
    for _ in range(2):
        with pytest.raises(ProviderError, match="down"):
            asyncio.run(layer.complete(ask(path="p")))
    assert [call.outcome for _, call in transcript.calls()] == [
        CallFailure("provider", "down", 503)
    ]
    assert asyncio.run(layer.complete(ask(path="q"))).paid


def test_a_failed_call_is_asked_again_by_a_resumed_run(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    down = RealTransport(lambda _: ProviderError("down"))
    with pytest.raises(ProviderError):
        asyncio.run(RecordingLayer(down, Transcript(), Journal(path)).complete(ask(path="p")))
    journal = Journal(path)
    journal.load()
    up = RecordingLayer(RealTransport(lambda _: say("up")), Transcript(), journal)
    assert asyncio.run(up.complete(ask(path="p"))).text == "up"


def test_a_failed_call_survives_the_files_and_fails_in_a_replay() -> None:
    transcript = Transcript()
    transcript.record(ask(path="p"), CallFailure("timeout", "no answer within 3 s"))
    files = transcript.to_files()
    again = Transcript.from_files(files.calls, files.texts, "run")
    assert again.to_files() == files
    with pytest.raises(CallTimeoutError, match="no answer within 3 s"):
        asyncio.run(ReplayingLayer(again, "strict").complete(ask(path="p")))


def test_the_same_path_is_asked_once() -> None:
    transport = RealTransport(lambda _: say("x"))
    layer = RecordingLayer(transport, Transcript())
    assert asyncio.run(layer.complete(ask())).paid
    assert not asyncio.run(layer.complete(ask())).paid
    assert len(transport.requests) == 1


def test_another_call_under_a_used_path_is_a_bug() -> None:
    layer = RecordingLayer(RealTransport(lambda _: say("x")), Transcript())
    asyncio.run(layer.complete(ask("a", "p")))
    with pytest.raises(PathReusedError):
        asyncio.run(layer.complete(ask("b", "p")))


def test_a_resumed_run_pays_only_what_is_new(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    first, transcript = RealTransport(lambda r: say(r.path)), Transcript()
    killed = RecordingLayer(first, transcript, Journal(path))
    for text in ("a", "b"):
        asyncio.run(killed.complete(ask(text)))
    # Killed here: nothing was closed or synced.
    journal = Journal(path)
    assert journal.load() == 2
    second, resumed = RealTransport(lambda r: say(r.path)), Transcript()
    layer = RecordingLayer(second, resumed, journal)
    paid = [asyncio.run(layer.complete(ask(text))).paid for text in ("b", "a", "c")]
    assert paid == [False, False, True]
    assert [request.path for request in second.requests] == ["p/c"]
    assert layer.resumed == 2
    asyncio.run(layer.aclose())
    whole = Transcript()
    for text in "abc":
        whole.record(ask(text), say(f"p/{text}"))
    assert resumed.digest == whole.digest
    again = Journal(path)
    assert again.load() == 3


def test_a_journal_answers_only_the_same_request_at_the_same_path(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal_with(path)
    journal = Journal(path)
    journal.load()
    assert journal.find(ask("1")) == say("answer 1\u2028\r\n")
    assert journal.find(ask("1", "elsewhere")) is None
    assert journal.find(ask("changed", "p/1")) is None


def test_calls_of_the_journal_that_are_not_asked_stay_out_of_the_transcript(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal_with(path)
    journal, transcript = Journal(path), Transcript()
    journal.load()
    layer = RecordingLayer(RealTransport(lambda _: say("x")), transcript, journal)
    asyncio.run(layer.complete(ask("2")))
    assert transcript.paths() == ["p/2"]


def test_a_rolled_back_call_is_not_paid_again(tmp_path: Path) -> None:
    journal, transcript = Journal(tmp_path / "j.jsonl"), Transcript()
    transport = RealTransport(lambda _: say("x"))
    layer = RecordingLayer(transport, transcript, journal)
    asyncio.run(layer.complete(ask("a")))
    transcript.forget(["p/a"])
    assert not asyncio.run(layer.complete(ask("a"))).paid
    assert len(transport.requests) == 1
    assert transcript.paths() == ["p/a"]


@given(st.data())
def test_a_cut_at_any_byte_loses_the_torn_line_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("journal") / "j.jsonl"
    whole = journal_with(path)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    journal = Journal(path)
    complete = whole[:cut].count(b"\n")
    assert journal.load() == complete
    journal.append(ask("new"), say("after"))
    journal.close()
    assert Journal(path).load() == complete + 1
    assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:complete]))


EDITS: list[Callable[[list[bytes]], list[bytes]]] = [
    lambda lines: [lines[0], b"torn{\n", lines[2]],
    lambda lines: [lines[0], b"\n", lines[2]],
    lambda lines: [lines[0], lines[1].replace(b'"text"', b'"test"'), lines[2]],
    lambda lines: [lines[0], lines[1].replace(b'"path":"p/1"', b'"path":7'), lines[2]],
    lambda lines: [lines[0], lines[0].replace(b"answer 0", b"answer 9")],
    lambda lines: [lines[0], b"null\n"],
    lambda lines: [lines[0], b"\xff\xfe\n"],
]


@pytest.mark.parametrize("edit", EDITS)
def test_any_other_malformed_line_is_an_error_with_its_number(
    tmp_path: Path, edit: Callable[[list[bytes]], list[bytes]]
) -> None:
    path = tmp_path / "journal.jsonl"
    lines = journal_with(path).splitlines(keepends=True)
    path.write_bytes(b"".join(edit(lines)))
    with pytest.raises(AlteredError, match=r"^journal\.jsonl:2: "):
        Journal(path).load()


def test_a_full_disk_leaves_no_torn_line_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append(ask("a"), say("x"))
    real, calls = os.write, iter([True, False])

    def full(descriptor: int, data: bytes) -> int:
        if next(calls):
            return real(descriptor, data[:7])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OSError, match="No space left"):
            journal.append(ask("b"), say("y"))
    journal.append(ask("c"), say("z"))
    journal.close()
    assert Journal(path).load() == 2


def test_no_journal_yet_is_an_empty_one(tmp_path: Path) -> None:
    assert Journal(tmp_path / "none.jsonl").load() == 0
