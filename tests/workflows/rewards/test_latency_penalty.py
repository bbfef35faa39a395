"""A latency penalty: another clock changes a fresh run, and none that is on record."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.lm.gateway import build_gateway
from dse_cli.workflows import session
from dse_cli.workflows.compiles.compile import CompileResult
from tests.workflows.desk import GRID, compile_it, make_project, real, tree
from tests.workflows.replays.test_replay import run_of, strict

REWARD = {
    "signals": [{"exact_match": {"field": "queue", "weight": 1.0}}],
    "penalties": [{"latency": {"target_ms": 0, "limit_ms": 2_000}}],
}


@pytest.fixture
def tick(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let every look at the clock be some milliseconds after the one before."""

    def set_to(step_ms: int) -> None:
        looks = itertools.count()
        clocked = functools.partial(build_gateway, clock=lambda: next(looks) * step_ms / 1000)
        monkeypatch.setattr(session, "build_gateway", clocked)

    return set_to


def evaluation(result: CompileResult) -> EvalSummary:
    return result.outputs.artifact.evaluation


def test_a_warm_run_and_a_replay_read_the_time_that_the_cold_run_measured(
    tick: Callable[[int], None], tmp_path: Path
) -> None:
    project = make_project(tmp_path / "p", {**GRID, "reward": REWARD})
    cache = tmp_path / "cache"
    tick(5)
    cold = compile_it(project, real(), cache=cache)
    written = tree(project)
    assert any(b"latency_ms" in data for name, data in written.items() if "calls.jsonl" in name)
    assert 0.5 < (evaluation(cold).mean or 0) < 1, "right answers, discounted"
    tick(70)
    compile_it(project, real(), cache=cache)
    assert tree(project) == written
    report = strict(project, run_of(cold))
    assert (report.winner, report.live) == (report.recorded, 0)
    other = make_project(tmp_path / "other", {**GRID, "reward": REWARD})
    slow = compile_it(other, real())
    assert (evaluation(slow).mean or 0) < (evaluation(cold).mean or 0)


def test_no_clock_reaches_the_files_of_a_run_without_the_penalty(
    tick: Callable[[int], None], tmp_path: Path
) -> None:
    found = []
    for step in (5, 70):
        tick(step)
        project = make_project(tmp_path / str(step))
        compile_it(project, real())
        found.append(tree(project))
    assert found[0] == found[1]
    assert not any(b"latency" in data for data in found[0].values())
