"""Runs jobs in fresh processes, interleaved, and sums them up.

Ours and theirs take turns (A B A B ...), so that a neighbour's load or a warm disk falls on both.
What is reported is the median with the smallest and the largest run, and the ratio of medians.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NOT_INSTALLED = "not installed"


@dataclass(frozen=True)
class Context:
    """How to run the benchmarks.

    Attributes:
        folder: for projects, rows and caches; empty at the start.
        runs: measured runs of each job.
        quick: fewer rows, to see that everything works.
        dspy_python: a Python that has dspy, or None.
    """

    folder: Path
    runs: int
    quick: bool
    dspy_python: str | None

    def size(self, full: int, quick: int) -> int:
        """Return how many rows to use."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Measure:
    """Runs of one job.

    Attributes:
        values: one number a run.
        unit: what they are.
    """

    values: tuple[float, ...]
    unit: str

    @property
    def median(self) -> float:
        return median(self.values)

    def __str__(self) -> str:
        low, high = min(self.values), max(self.values)
        shown = f"{number(self.median)} {self.unit}"
        return shown if low == high else f"{shown} ({number(low)} to {number(high)})"


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        name: what was measured.
        ours, theirs: the measures, or words.
        ratio: how many times better ours is, None when there is nothing to compare with.
        goal: the line to reach, in words.
        reached: whether it is; None when it could not be told.
    """

    name: str
    ours: Measure | str
    theirs: Measure | str = NOT_INSTALLED
    ratio: float | None = None
    goal: str = ""
    reached: bool | None = None


@dataclass
class Benchmark:
    """A benchmark: a name and a function that measures."""

    name: str
    about: str
    measure: Callable[[Context], list[Line]]
    notes: list[str] = field(default_factory=list)


def number(value: float) -> str:
    """Return a number with three significant digits, thousands separated."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def per_second(results: Sequence[dict[str, Any]]) -> Measure:
    """Return rows a second of finished jobs."""
    return Measure(tuple(r["cells"] / r["seconds"] for r in results), "rows/s")


def compare(
    name: str,
    ours: Measure,
    theirs: Measure | None,
    at_least: float,
    *,
    more_is_better: bool = True,
) -> Line:
    """Return the line of a goal that is a ratio."""
    goal = f"{at_least:g} x"
    if theirs is None:
        return Line(name, ours, goal=goal)
    ratio = ours.median / theirs.median if more_is_better else theirs.median / ours.median
    return Line(name, ours, theirs, ratio, goal, ratio >= at_least)


def interleaved(
    runs: int, jobs: dict[str, Callable[[], dict[str, Any]]]
) -> dict[str, list[dict[str, Any]]]:
    """Run every job ``runs`` times, in turns, and return its results by name."""
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in jobs}
    for _ in range(runs):
        for name, job in jobs.items():
            results[name].append(job())
    return results


def run_ours(job: dict[str, Any]) -> dict[str, Any]:
    """Run one of our jobs in a fresh process."""
    return _finished([sys.executable, "-m", "bench.ours", json.dumps(job)])


def run_theirs(python: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run one of DSPy's jobs in a fresh process of its own Python."""
    return _finished([python, "-P", str(ROOT / "bench" / "theirs.py"), json.dumps(job)])


def wall_seconds(command: Sequence[str], *, environment: dict[str, str] | None = None) -> float:
    """Return how long a whole process takes, from the shell's point of view.

    Args:
        environment: variables to add.
    """
    env = _environment() | (environment or {})
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    return time.perf_counter() - start


def dspy_version(python: str | None) -> str | None:
    """Return the version of dspy that a Python has, or None."""
    if python is None:
        return None
    code = "import importlib.metadata as m; print(m.version('dspy'))"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


@contextmanager
def loopback_server(latency_ms: float = 0.0) -> Iterator[Server]:
    """Start the server of :mod:`bench.server` and stop it at the end."""
    command = [sys.executable, "-m", "bench.server", "--latency-ms", str(latency_ms)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        if process.stdout is None or process.stdin is None:
            raise RuntimeError("the server has no pipes")
        yield Server(int(process.stdout.readline()))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(timeout=10)


@dataclass(frozen=True)
class Server:
    """A running loopback server."""

    port: int

    def asked(self) -> dict[str, int]:
        """Return requests and bytes since the last look."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/") as response:
            found: dict[str, int] = json.load(response)
            return found

    def watched(self, job: Callable[[], dict[str, Any]], requests: int) -> dict[str, Any]:
        """Run a job and make sure that it made as many requests as it must.

        Raises:
            RuntimeError: it did not: whatever was measured was not this work.
        """
        self.asked()
        result = job()
        seen = self.asked()
        if seen["requests"] != requests:
            raise RuntimeError(f"{seen['requests']} requests arrived, not {requests}")
        return {**result, "bytes_per_request": seen["bytes"] / max(1, requests)}


def _finished(command: list[str]) -> dict[str, Any]:
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[:3]} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**result, "wall_seconds": time.perf_counter() - start}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DSE_")}
    return {**kept, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "PYTHONWARNINGS": "ignore"}
