"""A run that is killed or interrupted goes on where it was, to the same bytes."""

from __future__ import annotations

import json
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import CALLS, NAME, DeskServer

CONCURRENCY = 4
#: Set it to 20 for the long version; the moments are drawn from the seed in any case.
MOMENTS = int(os.environ.get("DSE_KILL_MOMENTS", "6"))
COMPILE = ("compile", NAME, "--json", "--no-cache", "--concurrency", str(CONCURRENCY))


def moments() -> list[tuple[int, float]]:
    """Return when to kill: after how many requests, and how many seconds later."""
    drawn = random.Random("kill -9")
    found = [(drawn.randint(1, CALLS - 1), drawn.uniform(0, 0.02)) for _ in range(MOMENTS - 2)]
    # Before the first call, and while the outputs are being written.
    return [(0, drawn.uniform(0, 0.1)), *found, (CALLS, drawn.uniform(0.02, 0.05))]


def journal_lines(desk: Desk) -> int:
    journals = list((desk.root / ".dse").rglob("journal.jsonl"))
    assert len(journals) <= 1
    return journals[0].read_bytes().count(b"\n") if journals else 0


@pytest.mark.parametrize(("requests", "seconds"), moments())
def test_a_killed_compile_resumes_to_the_same_bytes(
    desk: Desk,
    server: DeskServer,
    clean_compile: Callable[[], dict[str, bytes]],
    requests: int,
    seconds: float,
) -> None:
    server.delay_s = 0.02
    running = desk.start(*COMPILE)
    server.wait_for(requests, unless=running.ended)
    running.ended.wait(seconds)
    running.send(signal.SIGKILL)
    killed = running.wait().code == -signal.SIGKILL
    asked, journaled = server.total, journal_lines(desk)
    if killed and not desk.written():
        # What was answered is on record, but for what was in flight.
        assert asked - journaled <= CONCURRENCY

    server.delay_s = 0.0
    resumed = desk.dse(*COMPILE, "--resume").document

    assert desk.written() == clean_compile()
    assert resumed["resumed_calls"] == journaled
    assert server.total - asked == CALLS - journaled
    assert desk.dse("check").stdout == "sound\n"


def test_a_compile_that_is_killed_again_and_again_asks_nothing_twice_that_was_on_record(
    desk: Desk, server: DeskServer, clean_compile: Callable[[], dict[str, bytes]]
) -> None:
    server.delay_s = 0.02
    kills = (10, 22, 34)
    for requests in kills:
        running = desk.start(*COMPILE, "--resume")
        server.wait_for(requests, unless=running.ended)
        running.send(signal.SIGKILL)
        assert running.wait().code == -signal.SIGKILL
    server.delay_s = 0.0
    desk.dse(*COMPILE, "--resume")
    assert desk.written() == clean_compile()
    repeated = sum(count - 1 for count in server.counts().values())
    assert len(server.counts()) == CALLS
    assert repeated <= CONCURRENCY * len(kills)


def test_ctrl_c_ends_with_130_and_prints_the_command_that_resumes(
    desk: Desk, server: DeskServer, tmp_path: Path
) -> None:
    options = ("--seed", "9", "--max-metric-calls", "96", "--project", str(desk.root))
    command = [sys.executable, "-m", "dse_cli", *COMPILE, *options]
    server.delay_s = 0.02
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=desk.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        ended = threading.Event()
        server.wait_for(CALLS // 2, unless=ended)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    document = json.loads(stdout)
    assert document["outcome"] == "interrupted"
    assert document["hint"] in stderr
    asked, journaled = server.total, journal_lines(desk)
    assert CALLS // 2 - CONCURRENCY <= journaled <= asked

    program, *again = shlex.split(document["hint"])
    assert program == "dse"
    resumed = desk.zygote.run(*again, "--json", cwd=tmp_path, env=desk.env).document
    assert resumed["outcome"] == "compiled"
    assert resumed["resumed_calls"] == journaled
    assert server.total - asked == CALLS - journaled


def test_ctrl_c_during_an_evaluation_ends_with_130(desk: Desk, server: DeskServer) -> None:
    server.delay_s = 0.02
    running = desk.start("eval", NAME, "--json", "--concurrency", "1")
    server.wait_for(3, unless=running.ended)
    running.send(signal.SIGINT)
    ran = running.wait()
    assert ran.code == 130
    assert ran.document["outcome"] == "interrupted"
