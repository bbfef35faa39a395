"""Cost per cell as the number of cells grows: time and memory must stay flat."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench import task
from bench.harness import Benchmark, Context, Line, Measure, interleaved, number, run_ours

#: "Flat": the dearest size costs at most this much more per cell than the cheapest.
WITHIN = 1.35


def measure(context: Context) -> list[Line]:
    """Measure 1,000, 10,000 and 100,000 cells, of as many different rows."""
    sizes = (200, 1000, 5000) if context.quick else (1000, 10_000, 100_000)
    jobs: dict[str, Callable[[], dict[str, Any]]] = {}
    for size in sizes:
        project = task.write_project(context.folder / f"flat-{size}", size, None)
        job = {
            "project": str(project),
            "concurrency": 32,
            "cache": None,
            "scripted": True,
            "rollouts": 1,
        }
        jobs[str(size)] = partial(run_ours, job)
    results = interleaved(min(context.runs, 3), jobs)
    times: list[Measure] = []
    lines = []
    for size in sizes:
        found = results[str(size)]
        # Of the processor and not of the clock: neighbours would show as growth.
        time = Measure(tuple(1e6 * r["cpu_seconds"] / r["cells"] for r in found), "µs a cell")
        load = Measure(tuple(1e6 * r["load_seconds"] / r["cells"] for r in found), "")
        memory = Measure(tuple(1e3 * r["grown_mb"] / r["cells"] for r in found), "kB a cell")
        times.append(time)
        lines.append(
            Line(f"{size:,} cells", time, f"{memory}; reading the dataset {number(load.median)} µs")
        )
    medians = [time.median for time in times]
    spread = max(medians) / min(medians)
    ratio = Line(
        "dearest over cheapest", f"{spread:.2f}", "", None, f"{WITHIN} at most", spread <= WITHIN
    )
    return [*lines, ratio]


BENCHMARK = Benchmark("flat", __doc__ or "", measure)
