"""Rows a second over HTTP through LiteLLM, from a server that answers at once, 32 in flight."""

from __future__ import annotations

from bench.harness import Benchmark, Context, Line, compare, loopback_server, per_second
from bench.pair import Pair

CONCURRENCY = 32


def measure(context: Context) -> list[Line]:
    """Measure both sides without any cache."""
    rows = context.size(1000, 200)
    with loopback_server() as server:
        results = Pair(context, "http", rows, CONCURRENCY, server, also_native=True).run()
    ours = per_second(results["ours"])
    theirs = per_second(results["theirs"]) if "theirs" in results else None
    name = f"over HTTP, instant server, {CONCURRENCY} in flight, {rows} rows"
    lines = [compare(name, ours, theirs, 2.5)]
    native = results.pop("theirs_native", None)
    if native is not None and native[0]["is_native"]:
        results["theirs without LiteLLM"] = native
        lines.append(compare("the same, dspy without LiteLLM", ours, per_second(native), 2.5))
    for side, found in results.items():
        BENCHMARK.notes.append(
            f"{side}: {found[0]['bytes_per_request']:.0f} bytes a request, "
            f"{found[0]['rss_mb']:.0f} MB resident"
        )
    return lines


BENCHMARK = Benchmark("http", __doc__ or "", measure)
