"""Counting receipts: every path out of a prediction, per channel, and a stop that is final."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dse_cli.contracts.channel import CanaryStop, ChannelCounts
from dse_cli.registry.served import ReceiptCounter, count_receipts, is_over

STOP = CanaryStop(min_samples=4, max_error_rate=0.25)


def line(result: str, channel: str = "canary", salt: str = "s") -> str:
    return json.dumps({"result": result, "channel": channel, "canary": salt}) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "route.jsonl"


def test_no_file_is_no_receipts(path: Path) -> None:
    counts = count_receipts(path, "s", STOP)
    assert (counts.canary.samples, counts.active.samples, counts.tripped) == (0, 0, None)
    assert counts.canary.error_rate is None


def test_errors_and_timeouts_count_and_what_was_cancelled_counts_apart(path: Path) -> None:
    results = ["ok", "decode", "timeout", "provider", "budget", "tool", "cancelled", "SomeError"]
    path.write_text("".join(line(result) for result in results) + line("ok", "active"))
    counts = count_receipts(path, "s")
    assert counts.canary == ChannelCounts(
        ok=1, decode=1, timeout=1, provider=1, budget=1, tool=1, other=1, cancelled=1
    )
    assert (counts.canary.samples, counts.canary.errors) == (7, 6)
    assert counts.active == ChannelCounts(ok=1)


def test_receipts_of_another_canary_and_of_named_policies_are_not_counted(path: Path) -> None:
    older = json.dumps({"result": "ok", "channel": "active"}) + "\n"
    path.write_text(older + line("ok", salt="t") + line("ok", "explicit") + line("ok", "default"))
    counts = count_receipts(path, "s")
    assert counts.canary.samples + counts.active.samples == 0


def test_a_line_that_is_still_being_written_is_counted_once_it_is_whole(path: Path) -> None:
    whole = line("ok")
    path.write_text(whole + whole[:20])
    counter = ReceiptCounter(path, "s")
    assert counter.update().canary.ok == 1
    path.write_text(whole + whole)
    assert counter.update().canary.ok == 2
    assert counter.update().canary.ok == 2


def test_lines_that_are_no_receipts_are_passed_over(path: Path) -> None:
    path.write_bytes(b'\xff\xfe\n[1]\n"x"\n{"canary": "s"}\n\n' + line("ok").encode())
    assert count_receipts(path, "s").canary.ok == 1


def test_a_file_that_was_removed_and_begun_anew_is_counted_anew(path: Path) -> None:
    path.write_text(line("ok") * 3)
    counter = ReceiptCounter(path, "s")
    assert counter.update().canary.ok == 3
    path.write_text(line("ok"))
    assert counter.update().canary.ok == 1
    path.unlink()
    assert counter.update().canary.ok == 0


def test_a_canary_is_not_judged_before_it_has_its_samples(path: Path) -> None:
    path.write_text(line("decode") * 3 + line("cancelled"))
    assert count_receipts(path, "s", STOP).tripped is None
    path.write_text(line("decode") * 3 + line("timeout"))
    tripped = count_receipts(path, "s", STOP).tripped
    assert tripped == ChannelCounts(decode=3, timeout=1)


def test_a_trip_is_final_although_later_answers_are_good(path: Path) -> None:
    path.write_text(line("timeout") * 2 + line("ok") * 50)
    tripped = count_receipts(path, "s", STOP).tripped
    assert tripped == ChannelCounts(timeout=2, ok=2)


def test_the_limit_itself_is_allowed(path: Path) -> None:
    path.write_text(line("timeout") + line("ok") * 3)
    assert count_receipts(path, "s", STOP).tripped is None


@pytest.mark.parametrize(("errors", "over"), [(29, False), (30, True)])
def test_the_limit_is_a_decimal_and_not_what_a_float_makes_of_it(errors: int, over: bool) -> None:
    # 0.29 * 100 is 28.999999999999996 in floats.
    counts = ChannelCounts(ok=100 - errors, decode=errors)
    assert is_over(counts, CanaryStop(min_samples=1, max_error_rate=0.29)) is over
