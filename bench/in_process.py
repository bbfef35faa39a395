"""Rows a second when the model answers in the process: what is left is each side's own cost."""

from __future__ import annotations

from dataclasses import replace

from bench.harness import Benchmark, Context, Line, compare, per_second
from bench.pair import Pair

CONCURRENCY = 8


def measure(context: Context) -> list[Line]:
    """Measure few rows and many: bookkeeping that is quadratic shows in the many."""
    lines = []
    sizes = [(context.size(2000, 200), context.runs), (context.size(32_000, 2000), 3)]
    for rows, runs in sizes:
        results = Pair(context, f"in-process-{rows}", rows, CONCURRENCY).run(
            runs=min(runs, context.runs)
        )
        theirs = per_second(results["theirs"]) if "theirs" in results else None
        name = f"in process, {rows:,} rows"
        line = compare(name, per_second(results["ours"]), theirs, 5)
        # The goal is about many rows; few show what a row costs before bookkeeping piles up.
        lines.append(line if rows == sizes[-1][0] else replace(line, goal="", reached=None))
    return lines


BENCHMARK = Benchmark("process", __doc__ or "", measure)
