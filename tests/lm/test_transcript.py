from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.canonical import canonical_bytes, canonical_text, sha256_of_text
from dse_cli.contracts.errors import AlteredError
from dse_cli.contracts.lm import (
    LmRequest,
    LmResponse,
    Message,
    ModelIdentity,
    Sampling,
    Usage,
)
from dse_cli.lm.transcript import (
    PathReusedError,
    Transcript,
    TranscriptFiles,
    TranscriptMissingError,
)
from tests.lm.calls import ask, say

COUNTS = st.none() | st.integers(0, 2**53 - 1)
TEXT = st.text(max_size=20)
SCHEMAS = st.none() | st.dictionaries(TEXT, st.none() | st.booleans() | TEXT, max_size=3)
REQUESTS = st.builds(
    LmRequest,
    identity=st.builds(ModelIdentity, TEXT, st.none() | TEXT, st.none() | TEXT),
    messages=st.lists(
        st.builds(Message, st.sampled_from(["system", "user", "assistant"]), TEXT), max_size=3
    ).map(tuple),
    sampling=st.builds(
        Sampling,
        st.none() | st.floats(0, 2),
        st.none() | st.floats(0, 1),
        st.none() | st.integers(1, 4096),
        st.none() | st.integers(0, 2**31),
    ),
    response_schema=SCHEMAS,
    rollout=st.integers(0, 9),
    path=st.text(min_size=1, max_size=20),
)
RESPONSES = st.builds(
    LmResponse, TEXT, TEXT, TEXT, st.builds(Usage, COUNTS, COUNTS, COUNTS), st.booleans()
)
CALLS = st.lists(st.tuples(REQUESTS, RESPONSES), max_size=6, unique_by=lambda call: call[0].path)


def transcript_of(calls: list[tuple[LmRequest, LmResponse]]) -> Transcript:
    transcript = Transcript()
    for request, response in calls:
        transcript.record(request, response)
    return transcript


def small() -> Transcript:
    schema = {"type": "object"}
    return transcript_of(
        [
            (ask("one", "a/1", schema=schema), say("first")),
            (ask("two", "a/2"), say("second", tokens=None, cost=None)),
            (ask("one", "b/1", rollout=1), say("first")),
        ]
    )


@given(CALLS)
def test_what_is_written_is_read_back_the_same(
    calls: list[tuple[LmRequest, LmResponse]],
) -> None:
    transcript = transcript_of(calls)
    files = transcript.to_files()
    again = Transcript.from_files(files.calls, files.texts, "run")
    assert list(again.calls()) == list(transcript.calls())
    assert again.to_files() == files
    assert again.digest == transcript.digest == files.digest


@given(CALLS, st.randoms(use_true_random=False))
def test_the_bytes_do_not_depend_on_the_order_of_arrival(
    calls: list[tuple[LmRequest, LmResponse]], order: random.Random
) -> None:
    shuffled = list(calls)
    order.shuffle(shuffled)
    assert transcript_of(shuffled).to_files() == transcript_of(calls).to_files()


def test_the_files_are_lines_that_name_texts_by_hash() -> None:
    files = small().to_files()
    settings = (
        '{"model":{"endpoint":null,"model":"openai/tiny","weights":null},'
        '"response_schema":{"type":"object"},'
        '"sampling":{"max_tokens":null,"seed":null,"temperature":0,"top_p":null}}'
    )
    prompt = canonical_text([["system", sha256_of_text("You answer.")]])
    first, *_ = [json.loads(line) for line in files.calls.splitlines()]
    assert first == {
        "path": "a/1",
        "request_key": ask("one", schema={"type": "object"}).key,
        "prompt": sha256_of_text(prompt),
        "last": ["user", sha256_of_text("one")],
        "settings": sha256_of_text(settings),
        "rollout": 0,
        "response": {
            "text": sha256_of_text("first"),
            "finish_reason": "stop",
            "served_model": "tiny-1",
            "usage": {"prompt_tokens": 5, "completion_tokens": 5, "cost_nano_usd": 7},
            "scripted": False,
        },
    }
    texts = [json.loads(line) for line in files.texts.splitlines()]
    said = {"You answer.", "one", "two", "first", "second", settings, prompt}
    assert said <= {entry["text"] for entry in texts}
    assert [entry["sha256"] for entry in texts] == sorted(entry["sha256"] for entry in texts)


def test_whether_a_call_was_paid_leaves_no_trace() -> None:
    paid, hit = Transcript(), Transcript()
    paid.record(ask(), say("x"))
    hit.record(ask(), say("x", paid=False))
    assert paid.digest == hit.digest


def test_any_other_call_changes_the_digest() -> None:
    other = small()
    other.forget(["b/1"])
    other.record(ask("one", "b/1", rollout=1), say("first", tokens=6))
    assert other.digest != small().digest


def test_the_border_between_the_files_is_part_of_the_digest() -> None:
    assert TranscriptFiles(b"ab", b"c").digest != TranscriptFiles(b"a", b"bc").digest


def test_a_path_holds_one_call() -> None:
    transcript = small()
    transcript.record(ask("two", "a/2"), say("second", tokens=None, cost=None))
    with pytest.raises(PathReusedError):
        transcript.record(ask("another", "a/2"), say("second"))
    with pytest.raises(PathReusedError):
        transcript.record(ask("two", "a/2"), say("another answer"))
    assert len(transcript) == 3


def test_forgotten_calls_are_gone_with_their_texts() -> None:
    transcript = small()
    transcript.forget(["a/2", "never/there"])
    assert transcript.paths() == ["a/1", "b/1"]
    assert b"second" not in transcript.to_files().texts


def test_missing_is_not_corrupt_and_empty_is_neither() -> None:
    for calls, texts, name in ((None, b"", "calls"), (b"", None, "texts"), (None, None, "calls")):
        with pytest.raises(TranscriptMissingError, match=rf"run/{name}\.jsonl does not exist"):
            Transcript.from_files(calls, texts, "run")
    assert len(Transcript.from_files(b"", b"", "run")) == 0


def line_edit(
    number: int, change: Callable[[dict[str, object]], object]
) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        entry = json.loads(lines[number - 1])
        change(entry)
        lines[number - 1] = canonical_bytes(entry) + b"\n"
        return b"".join(lines)

    return edit


def swap(data: bytes) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join([lines[1], lines[0], *lines[2:]])


CALL_EDITS: list[tuple[Callable[[bytes], bytes], int, str]] = [
    (swap, 2, "out of order"),
    (lambda data: data + data.splitlines(keepends=True)[-1], 4, "there twice"),
    (lambda data: data[:-1], 3, "no line end"),
    (lambda data: data[:-30], 3, "no line end"),
    (lambda data: data.replace(b'"rollout":0', b'"rollout": 0', 1), 1, "canonical"),
    (lambda data: data.replace(b"a/2", b"a/\xff"), 2, "not JSON"),
    (lambda data: b"[]\n" + data, 1, "canonical JSON object"),
    (line_edit(2, lambda e: e.update(rollout=5)), 2, "does not have the key"),
    (line_edit(2, lambda e: e.update(request_key="sha256:0")), 2, "does not have the key"),
    (line_edit(1, lambda e: e.update(sampling={})), 1, "does not have the key|do not belong"),
    (line_edit(1, lambda e: e.update(extra=1)), 1, "do not belong"),
    (line_edit(1, lambda e: e.pop("response")), 1, "another shape"),
    (line_edit(1, lambda e: e.update(response=[])), 1, "another shape"),
    (line_edit(1, lambda e: e.update(path=7)), 1, "another shape"),
    (
        line_edit(1, lambda e: e.update(last=["tool", sha256_of_text("one")])),
        1,
        "unknown role",
    ),
    (line_edit(3, lambda e: e.update(last=["user", "sha256:1"])), 3, "missing from texts"),
    (line_edit(2, lambda e: e.update(path="a/1")), 2, "out of order"),
]


@pytest.mark.parametrize(("edit", "line", "why"), CALL_EDITS)
def test_an_altered_call_is_named_with_its_line(
    edit: Callable[[bytes], bytes], line: int, why: str
) -> None:
    files = small().to_files()
    altered = edit(files.calls)
    assert altered != files.calls
    with pytest.raises(AlteredError, match=rf"^run/calls\.jsonl:{line}: .*({why})"):
        Transcript.from_files(altered, files.texts, "run")


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (swap, "out of order"),
        (lambda data: data.replace(b"second", b"secret"), "does not have the hash"),
        (lambda data: data + data.splitlines(keepends=True)[-1], "there twice"),
        (lambda data: data[:-1], "no line end"),
        (lambda data: b'{"sha256":1,"text":"x"}\n' + data, "expected exactly"),
    ],
)
def test_an_altered_text_is_named_with_its_line(edit: Callable[[bytes], bytes], why: str) -> None:
    files = small().to_files()
    with pytest.raises(AlteredError, match=rf"^run/texts\.jsonl:\d+: .*({why})"):
        Transcript.from_files(files.calls, edit(files.texts), "run")


def test_a_text_that_no_call_uses_is_refused() -> None:
    files, fewer = small().to_files(), small()
    fewer.forget(["a/2"])
    with pytest.raises(AlteredError, match="no call uses the text"):
        Transcript.from_files(fewer.to_files().calls, files.texts, "run")


@given(st.data())
def test_no_flipped_byte_goes_unnoticed(data: st.DataObject) -> None:
    files = small().to_files()
    both = bytearray(files.calls + files.texts)
    position = data.draw(st.integers(0, len(both) - 1))
    both[position] ^= data.draw(st.integers(1, 255))
    size = len(files.calls)
    calls, texts = bytes(both[:size]), bytes(both[size:])
    try:
        again = Transcript.from_files(calls, texts, "run")
    except AlteredError:
        return
    # Facts that no hash of ours covers (a token count, say) change the digest the receipt holds.
    assert again.digest == TranscriptFiles(calls, texts).digest != files.digest
