"""Whole processes, as a person waits for them: help, checking a project, a warm evaluation."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bench import task
from bench.harness import (
    ROOT,
    Benchmark,
    Context,
    Line,
    Measure,
    interleaved,
    loopback_server,
    wall_seconds,
)

ROWS = 200


def measure(context: Context) -> list[Line]:
    """Measure each command in turns; DSPy's side is the import that its programs begin with."""
    dse = [sys.executable, "-m", "dse_cli"]
    with loopback_server() as server:
        project = task.write_project(context.folder / "startup", ROWS, server.port)
        cache = {"DSE_CACHE_DIR": str(context.folder / "startup-cache")}
        evaluate = [*dse, "eval", "bench", "--policy", "default", "--project", str(project)]
        jobs: dict[str, Callable[[], dict[str, Any]]] = {
            "python": lambda: _wall([sys.executable, "-c", "pass"]),
            "help": lambda: _wall([*dse, "--help"]),
            "check": lambda: _wall([*dse, "check", "--project", str(ROOT)]),
            "eval": lambda: _wall(evaluate, cache),
        }
        python = context.dspy_python
        if python is not None:
            jobs["dspy"] = lambda: _wall([python, "-c", "import dspy"])
        for job in jobs.values():
            job()  # fills the cache, and the disk's
        results = interleaved(max(context.runs, 5), jobs)
        server.asked()
    walls = {name: Measure(tuple(r["s"] for r in found), "s") for name, found in results.items()}
    theirs = walls.get("dspy")
    lines = [
        _line("`dse --help`", walls["help"], theirs, 0.3),
        _line("`dse check`, the shipped project", walls["check"], theirs, None),
        _line(f"`dse eval`, {ROWS} rows, warm cache", walls["eval"], theirs, 0.5),
    ]
    BENCHMARK.notes.append(f"python alone: {walls['python']}; dspy's side is `import dspy`")
    return lines


def _wall(command: list[str], environment: dict[str, str] | None = None) -> dict[str, Any]:
    return {"s": wall_seconds(command, environment=environment)}


def _line(name: str, ours: Measure, theirs: Measure | None, limit_s: float | None) -> Line:
    goal = "" if limit_s is None else f"under {limit_s:g} s"
    reached = None if limit_s is None else ours.median < limit_s
    if theirs is None:
        return Line(name, ours, goal=goal, reached=reached)
    return Line(name, ours, theirs, theirs.median / ours.median, goal, reached)


BENCHMARK = Benchmark("startup", __doc__ or "", measure)
