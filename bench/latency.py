"""How much of the ideal is reached when the server takes 200 ms and 128 calls are in flight."""

from __future__ import annotations

from dataclasses import replace

from bench.harness import Benchmark, Context, Line, loopback_server, per_second
from bench.pair import Pair

CONCURRENCY = 128
LATENCY_MS = 200.0
LEAST = 0.8


def measure(context: Context) -> list[Line]:
    """Measure both sides; the ideal is 640 rows/s whatever the machine."""
    rows = context.size(1920, 512)
    ideal = CONCURRENCY / LATENCY_MS * 1000
    with loopback_server(LATENCY_MS) as server:
        pair = Pair(context, "latency", rows, CONCURRENCY, server, also_native=True)
        results = pair.run(runs=min(context.runs, 3))
    ours = per_second(results["ours"])
    share = ours.median / ideal
    line = Line(
        f"{LATENCY_MS:g} ms server, {CONCURRENCY} in flight, {rows} rows: {share:.0%} of ideal",
        ours,
        goal=f"{LEAST:.0%} of {ideal:g} rows/s",
        reached=share >= LEAST,
    )
    if "theirs" not in results:
        return [line]
    lines = []
    for side in results.keys() - {"ours"}:
        if side == "theirs_native" and not results[side][0]["is_native"]:
            continue
        theirs = per_second(results[side])
        name = line.name if side == "theirs" else "the same, dspy without LiteLLM"
        lines.append(replace(line, name=name, theirs=theirs, ratio=ours.median / theirs.median))
    return sorted(lines, key=lambda found: found.name != line.name)


BENCHMARK = Benchmark("latency", __doc__ or "", measure)
