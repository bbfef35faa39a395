from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import pickle  # noqa: TID251 - makes the attack that the cache has to survive
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.errors import ProviderError, UsageError
from dse_cli.contracts.lm import LmResponse, Usage
from dse_cli.lm import cache_folder
from dse_cli.lm.disk_cache import (
    CacheStats,
    DiskCacheLayer,
    cache_stats,
    clear,
    decode_entry,
    encode_entry,
)
from dse_cli.lm.safe_disk import SafeDisk, UnsafeRowError, is_own_file
from dse_cli.lm.scripted import ScriptedTransport
from tests.lm.calls import RealTransport, ask, say

BIG = "x" * 200_000  # over the size at which a value gets a file of its own


def through(
    folder: Path, answer: LmResponse | Exception, *texts: str
) -> tuple[list[LmResponse], RealTransport]:
    """Ask each text through a fresh layer."""
    transport = RealTransport(lambda _: answer)

    async def go() -> list[LmResponse]:
        layer = DiskCacheLayer(transport, folder)
        try:
            return [await layer.complete(ask(text)) for text in texts]
        finally:
            await layer.aclose()

    return asyncio.run(go()), transport


def edit(folder: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(folder / "cache.db") as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


@pytest.mark.parametrize("text", ["hello", BIG, "two\r\nlines\n", "ünï\u2028", ""])
def test_a_hit_is_the_same_answer_and_is_not_paid(tmp_path: Path, text: str) -> None:
    response = say(text, cost=None)
    (fresh,), _ = through(tmp_path, response, "q")
    (hit,), transport = through(tmp_path, say("another"), "q")
    assert hit == fresh == response
    assert fresh.paid
    assert not hit.paid
    assert transport.requests == []
    assert transport.closed


def test_rollouts_are_kept_apart(tmp_path: Path) -> None:
    layer = DiskCacheLayer(RealTransport(lambda r: say(str(r.rollout))), tmp_path)

    async def go() -> list[str]:
        return [(await layer.complete(ask("q", rollout=i))).text for i in (0, 1, 0, 1)]

    assert asyncio.run(go()) == ["0", "1", "0", "1"]
    assert (layer.hits, layer.misses) == (2, 2)


def test_an_error_is_never_kept(tmp_path: Path) -> None:
    with pytest.raises(ProviderError):
        through(tmp_path, ProviderError("down", retryable=True), "q")
    (response,), _ = through(tmp_path, say("up"), "q")
    assert response.text == "up"


def test_a_scripted_answer_is_not_kept_for_real_runs(tmp_path: Path) -> None:
    async def go() -> None:
        layer = DiskCacheLayer(ScriptedTransport(lambda _: "script"), tmp_path)
        await layer.complete(ask("q"))
        await layer.aclose()

    asyncio.run(go())
    (response,), _ = through(tmp_path, say("real"), "q")
    assert response == say("real")


class Payload:
    """Runs code when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.target),))


def test_attack_a_row_turned_into_a_pickle_is_not_unpickled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, proof = tmp_path / "cache", tmp_path / "ran"
    through(folder, say("kept"), "q")
    edit(folder, "UPDATE Cache SET mode = 4, value = ?", pickle.dumps(Payload(proof)))
    with caplog.at_level(logging.WARNING):
        (response,), _ = through(folder, say("asked again"), "q")
    assert response.text == "asked again"
    assert not proof.exists()
    assert "ignored the entry" in caplog.text
    (hit,), _ = through(folder, say("never"), "q")
    assert hit.text == "asked again"


def test_attack_a_pickled_key_is_not_unpickled(tmp_path: Path) -> None:
    folder, proof = tmp_path / "cache", tmp_path / "ran"
    through(folder, say("kept"), "q")
    edit(folder, "UPDATE Cache SET raw = 0, key = ?", pickle.dumps(Payload(proof)))
    (response,), _ = through(folder, say("asked again"), "q")
    assert response.text == "asked again"
    cache = cache_folder.open_cache(folder)
    with pytest.raises(UnsafeRowError):
        list(cache.iterkeys())
    cache.close()
    assert not proof.exists()


@pytest.mark.parametrize(
    "name", ["../secret", "aa/bb/../../../secret", "aa/bb/secret.val", "", None]
)
def test_attack_a_foreign_file_is_neither_read_nor_deleted(
    tmp_path: Path, name: str | None
) -> None:
    folder, secret = tmp_path / "cache", tmp_path / "secret"
    secret.write_text(encode_entry(ask("q").key, say("stolen")))
    through(folder, say("kept"), "q")
    edit(folder, "UPDATE Cache SET mode = 3, value = NULL, filename = ?", name)
    (response,), _ = through(folder, say("asked again"), "q")
    assert response.text == "asked again"
    assert secret.exists()


def test_attack_a_link_in_place_of_a_value_is_not_followed(tmp_path: Path) -> None:
    folder, secret = tmp_path / "cache", tmp_path / "secret"
    through(folder, say(BIG), "q")
    secret.write_text(encode_entry(ask("q").key, say("stolen")))
    (file,) = folder.rglob("*.val")
    file.unlink()
    file.symlink_to(secret)
    (response,), _ = through(folder, say("asked again"), "q")
    assert response.text == "asked again"
    assert secret.exists()


@pytest.mark.parametrize(
    "value",
    [
        "not json",
        "{}",
        "[]",
        "null",
        '{"key": 1}',
        encode_entry("another key", say("x")),
        b"bytes",
        7,
        "[" * 100_000,
        encode_entry(ask("q").key, say("x")).replace('"text": "x"', '"text": 3'),
        encode_entry(ask("q").key, say("x")).replace('"prompt_tokens": 5', '"prompt_tokens": -5'),
        encode_entry(ask("q").key, say("x")).replace('"scripted"', '"extra"'),
    ],
)
def test_a_corrupt_row_is_a_miss_with_a_warning(
    tmp_path: Path, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    through(tmp_path, say("kept"), "q")
    edit(tmp_path, "UPDATE Cache SET value = ?", value)
    with caplog.at_level(logging.WARNING):
        (response,), _ = through(tmp_path, say("asked again"), "q")
    assert response.text == "asked again"
    assert "ignored the entry" in caplog.text


def test_a_lost_value_file_is_a_miss(tmp_path: Path) -> None:
    through(tmp_path, say(BIG), "q")
    (file,) = tmp_path.rglob("*.val")
    file.unlink()
    (response,), _ = through(tmp_path, say("asked again"), "q")
    assert response.text == "asked again"


def test_a_damaged_database_costs_the_cache_and_not_the_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache.db").write_bytes(b"this is not a database" * 100)
    with caplog.at_level(logging.WARNING):
        responses, transport = through(tmp_path, say("asked"), "q", "q")
    assert [response.text for response in responses] == ["asked", "asked"]
    assert len(transport.requests) == 2
    assert caplog.text.count("its database is damaged") == 1
    assert not cache_stats(tmp_path).readable
    clear(tmp_path)
    through(tmp_path, say("asked"), "q")
    (hit,), transport = through(tmp_path, say("never"), "q")
    assert hit.text == "asked"


def test_a_foreign_setting_costs_the_cache_and_not_the_run(tmp_path: Path) -> None:
    through(tmp_path, say("kept"), "q")
    edit(tmp_path, "INSERT INTO Settings VALUES ('disk_surprise', 1)")
    (response,), _ = through(tmp_path, say("asked again"), "q")
    assert response.text == "asked again"


def test_the_folder_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o755)
    through(folder, say("x"), "q")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_folder_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: other)
    with pytest.raises(UsageError, match="belongs to another user"):
        through(tmp_path, say("x"), "q")


def _fill(folder: str, start: int) -> None:
    texts = [str(number) for number in range(start, start + 60)]
    through(Path(folder), say("same"), *texts)


def test_several_processes_share_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_fill, args=(str(tmp_path), n)) for n in (0, 30, 60)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert cache_stats(tmp_path).entries == 120
    responses, transport = through(tmp_path, say("other"), *map(str, range(120)))
    assert {response.text for response in responses} == {"same"}
    assert transport.requests == []


def test_a_cache_is_counted_and_cleared_and_nothing_else_is(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    assert cache_stats(folder) == CacheStats(0, 0, readable=True)
    through(folder, say(BIG), "a", "b")
    note = folder / "note.txt"
    note.write_text("mine")
    stats = cache_stats(folder)
    assert stats.entries == 2
    assert stats.bytes > 2 * len(BIG)
    assert clear(folder) == stats
    assert [path.name for path in folder.iterdir()] == ["note.txt"]
    assert cache_stats(folder).entries == 0


def test_only_text_is_stored(tmp_path: Path) -> None:
    disk = SafeDisk(str(tmp_path))
    for value in (b"bytes", 1, {"a": 1}, None):
        with pytest.raises(UnsafeRowError):
            disk.store(value, False)
        with pytest.raises(UnsafeRowError):
            disk.put(value)


def test_own_file_names_are_exactly_those_of_the_library() -> None:
    name, _ = SafeDisk("/nowhere").filename()
    assert is_own_file(name)
    for foreign in (name + "\n", "/" + name, name.upper(), name[:-4], "..", None, 7):
        assert not is_own_file(foreign)


COUNTS = st.none() | st.integers(0, 2**53 - 1)


@given(
    st.builds(
        LmResponse,
        text=st.text(),
        finish_reason=st.text(),
        served_model=st.text(),
        usage=st.builds(Usage, COUNTS, COUNTS, COUNTS),
        scripted=st.booleans(),
    )
)
def test_an_entry_survives_its_round_trip(response: LmResponse) -> None:
    assert decode_entry(encode_entry("k", response), "k") == response
