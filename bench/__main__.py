"""``python -m bench [NAME...]``: measure, and print a Markdown table of ratios."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from pathlib import Path

from bench import flat, in_process, latency, over_http, startup, warm_cache
from bench.harness import NOT_INSTALLED, Benchmark, Context, Line, dspy_version

BENCHMARKS: tuple[Benchmark, ...] = tuple(
    module.BENCHMARK for module in (over_http, warm_cache, in_process, flat, latency, startup)
)


def main() -> None:
    """Run the benchmarks that are named, or all."""
    names = [benchmark.name for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each job")
    parser.add_argument("--quick", action="store_true", help="few rows and runs: does it work?")
    parser.add_argument(
        "--dspy-python",
        metavar="PATH",
        help="a Python with dspy in it, of an environment of its own",
    )
    options = parser.parse_args()
    unknown = sorted(set(options.names) - set(names))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(names)}")
    version = dspy_version(options.dspy_python)
    if options.dspy_python is not None and version is None:
        parser.error(f"{options.dspy_python} has no dspy")
    runs = 1 if options.quick else options.runs
    absent = f"dspy ({NOT_INSTALLED}; name one with --dspy-python)"
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(
        f"{machine}, {f'dspy {version}' if version else absent}; medians of {runs} runs or as many "
        "as a benchmark says, smallest to largest in brackets.\n"
    )
    for benchmark in BENCHMARKS:
        if options.names and benchmark.name not in options.names:
            continue
        with tempfile.TemporaryDirectory(prefix="dse-bench-") as folder:
            context = Context(Path(folder), runs, options.quick, options.dspy_python)
            show(benchmark, benchmark.measure(context))


def show(benchmark: Benchmark, lines: list[Line]) -> None:
    """Print one benchmark as a Markdown table."""
    print(f"### {benchmark.name}\n\n{benchmark.about.strip()}\n")
    print("| what | dse | dspy | ratio | goal | |\n|---|---|---|---|---|---|")
    for line in lines:
        ratio = "" if line.ratio is None else f"**{line.ratio:.1f} x**"
        mark = {True: "reached", False: "**not reached**", None: ""}[line.reached]
        print(f"| {line.name} | {line.ours} | {line.theirs} | {ratio} | {line.goal} | {mark} |")
    print()
    for note in benchmark.notes:
        print(f"- {note}")
    print(flush=True)


if __name__ == "__main__":
    main()
