"""Rows a second from a warm disk cache, in a process that has just started."""

from __future__ import annotations

from bench.harness import (
    Benchmark,
    Context,
    Line,
    Measure,
    compare,
    loopback_server,
    per_second,
)
from bench.pair import Pair

CONCURRENCY = 32


def measure(context: Context) -> list[Line]:
    """Fill both caches over HTTP, then measure processes that must not make one request."""
    rows = context.size(2000, 200)
    with loopback_server() as server:
        results = Pair(context, "cache", rows, CONCURRENCY, server, cached=True).run()
    theirs = results.get("theirs")
    name = f"warm disk cache, new process, {rows} rows"
    walls = [Measure(tuple(r["wall_seconds"] for r in found), "s") for found in results.values()]
    whole = compare(
        "the same, whole process with imports",
        walls[0],
        walls[1] if theirs else None,
        1,
        more_is_better=False,
    )
    return [
        compare(name, per_second(results["ours"]), per_second(theirs) if theirs else None, 5),
        whole,
    ]


BENCHMARK = Benchmark("cache", __doc__ or "", measure)
