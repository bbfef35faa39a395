"""What every search keeps: the same bytes however it ran, and none lost when it was cut off."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from typing import Any

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import NAME, VAL, DeskServer
from tests.e2e.searches import PROPOSING, SEARCHES, by_both, is_question, write_search
from tests.lm.openai_server import Reply, Seen, answer, failure

CONCURRENCY = 4
#: Set it to 10 for the long version.
MOMENTS = int(os.environ.get("DSE_KILL_MOMENTS", "3"))
#: One of each kind: a surrogate, a pool of programs, a race. These are looked at more closely.
SURROGATE_POOL_RACE = ("mipro_v2.v1", "simba.v1", "instruction_grid.v1")
COMPILE = ("compile", NAME, "--json", "--no-cache", "--concurrency", str(CONCURRENCY))


def receipt_of(desk: Desk) -> dict[str, Any]:
    [text] = [data for name, data in desk.written().items() if name.endswith("receipt.json")]
    result: dict[str, Any] = json.loads(text)["predicate"]["result"]
    return result


@pytest.mark.parametrize("optimizer", SEARCHES)
def test_a_search_writes_the_same_bytes_and_replays_without_a_call(
    desk: Desk, server: DeskServer, optimizer: str
) -> None:
    write_search(desk.root, optimizer)
    server.rule = by_both
    first = desk.dse("compile", NAME, "--json", "--concurrency", "1").document
    assert server.total == first["paid_calls"]
    assert first["charged"]["metric_calls"] <= first["plan"]["metric_calls"]
    assert first["charged"]["lm_calls"] <= first["plan"]["lm_calls_at_most"]
    desk.commit()
    shutil.rmtree(desk.root / ".dse")
    if optimizer in SURROGATE_POOL_RACE:
        # In an interpreter of its own: a fork hashes as the process that it was forked from.
        desk.fresh("compile", NAME, "--concurrency", "16", PYTHONHASHSEED="4242")
    else:
        desk.dse("compile", NAME, "--concurrency", "16")
    assert desk.status() == ""

    asked = server.total
    server.rule = lambda _: failure(500, "a replay asks nobody")
    replayed = desk.dse("replay", first["run"][7:19], "--mode", "strict", "--json").document
    assert replayed["outcome"] == "replayed"
    assert replayed["served"] == first["charged"]["lm_calls"]
    assert server.total == asked
    assert desk.dse("check").stdout == "sound\n"


@pytest.mark.parametrize("optimizer", ["mipro_v2.v1", "simba.v1"])
def test_another_seed_is_another_run(desk: Desk, server: DeskServer, optimizer: str) -> None:
    write_search(desk.root, optimizer)
    server.rule = by_both
    zero, one = (
        desk.dse("compile", NAME, "--json", "--seed", seed).document["run"] for seed in "01"
    )
    assert zero != one
    receipts = [data for name, data in desk.written().items() if name.endswith("receipt.json")]
    trials = [json.loads(text)["predicate"]["result"].get("trials") for text in receipts]
    assert len(trials) == 2
    assert trials[0] != trials[1]


def moments(calls: int, optimizer: str) -> list[int]:
    """Return after how many requests to kill: drawn, and in different thirds of the run."""
    drawn = random.Random(f"kill -9 {optimizer}")
    third = max(calls // MOMENTS, 1)
    return [part * third + drawn.randrange(third) for part in range(MOMENTS)]


@pytest.mark.parametrize("optimizer", SURROGATE_POOL_RACE)
def test_a_search_that_is_killed_again_and_again_ends_in_the_same_bytes(
    desk: Desk, server: DeskServer, optimizer: str
) -> None:
    write_search(desk.root, optimizer)
    server.rule = by_both
    whole = desk.dse(*COMPILE).document
    clean = desk.written()
    calls = server.total
    shutil.rmtree(desk.root / "artifacts")
    shutil.rmtree(desk.root / ".dse")

    for requests in moments(calls, optimizer):
        server.reset()
        server.rule, server.delay_s = by_both, 0.01
        running = desk.start(*COMPILE)
        server.wait_for(requests, unless=running.ended)
        running.send(signal.SIGKILL)
        assert running.wait().code == -signal.SIGKILL
        asked = server.total
        assert desk.written() == {}

        server.delay_s = 0.0
        resumed = desk.dse(*COMPILE, "--resume").document
        assert desk.written() == clean, requests
        assert resumed["charged"] == whole["charged"]
        # What was answered is on record, but for what was in flight.
        assert asked - resumed["resumed_calls"] <= CONCURRENCY
        assert server.total - asked == calls - resumed["resumed_calls"]
        shutil.rmtree(desk.root / "artifacts")
        shutil.rmtree(desk.root / ".dse")
    desk.dse(*COMPILE)
    assert desk.written() == clean


@pytest.mark.parametrize("optimizer", PROPOSING)
def test_an_outage_of_the_proposer_is_resumed_to_the_same_bytes(
    desk: Desk, server: DeskServer, optimizer: str
) -> None:
    write_search(desk.root, optimizer)
    server.rule = by_both
    desk.dse(*COMPILE)
    clean = desk.written()
    shutil.rmtree(desk.root / "artifacts")

    def no_proposer(seen: Seen) -> Reply:
        return failure(503, "the proposer is away") if is_question(seen) else by_both(seen)

    server.rule = no_proposer
    failed = desk.dse(*COMPILE, code=3).document
    assert failed["outcome"] == "infrastructure"
    assert "the proposer is away" in failed["message"]
    assert "--resume" in failed["hint"]
    assert desk.written() == {}

    server.rule = by_both
    assert desk.dse(*COMPILE, "--resume").document["resumed_calls"] >= VAL
    assert desk.written() == clean


@pytest.mark.parametrize(
    ("optimizer", "junk"),
    [
        ("mipro_v2.v1", "I would rather not."),
        ("copro.v1", '{"instruction": "  "}'),
        ("instruction_propose.v1", "{}"),
    ],
)
def test_a_proposer_that_returns_junk_is_counted_and_survived(
    desk: Desk, server: DeskServer, optimizer: str, junk: str
) -> None:
    write_search(desk.root, optimizer)
    server.rule = lambda seen: answer(junk) if is_question(seen) else by_both(seen)
    done = desk.dse(*COMPILE).document
    assert done["outcome"] in {"compiled", "baseline_won"}
    proposals = receipt_of(desk)["proposals"]
    assert {proposal["outcome"] for proposal in proposals} == {"junk"}
    report = next(data for name, data in desk.written().items() if name.endswith("report.md"))
    assert f"{len(proposals)} asked: {len(proposals)} junk." in report.decode()
    shown = desk.dse("show", NAME, done["run"][7:19]).stdout
    assert f"proposals ({len(proposals)} asked: {len(proposals)} junk)" in shown
    assert desk.dse("replay", done["run"][7:19], "--json").document["outcome"] == "replayed"


@pytest.mark.parametrize("optimizer", PROPOSING)
def test_when_the_share_of_the_proposer_is_used_up_the_search_goes_on(
    desk: Desk, server: DeskServer, optimizer: str
) -> None:
    write_search(desk.root, optimizer, max_lm_calls=800, proposer_share=0.004)
    server.rule = by_both
    done = desk.dse(*COMPILE).document
    result = receipt_of(desk)
    outcomes = [proposal["outcome"] for proposal in result["proposals"]]
    assert outcomes.count("no_budget") > 0
    assert len(outcomes) - outcomes.count("no_budget") <= 3
    assert done["stop_reason"]["kind"] == "complete"
    assert desk.dse("replay", done["run"][7:19], "--json").document["outcome"] == "replayed"
