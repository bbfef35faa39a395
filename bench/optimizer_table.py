"""``python -m bench.optimizer_table``: compile every task with every optimizer, print the table.

Every finished run is a file in the store: what is there is not run again, and the table is made of
what is there. All runs of one invocation share one server of the embedded model; all runs of a
store share one disk cache, so that equal calls are never run twice. Several invocations may work
on one store at once: on two cores, one bound to each (``taskset``) get a third more done than one
on both, because the threads of one small model wait for each other.
"""

from __future__ import annotations

import argparse
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench.optimizers.banking import banking_task
from bench.optimizers.bbh import boolean_task, sports_task
from bench.optimizers.results import Results
from bench.optimizers.run import Bench
from bench.optimizers.settings import ARMS
from bench.optimizers.shipped import EXAMPLES, shipped_task
from bench.optimizers.table import table
from bench.optimizers.task import Sizes, Task
from dse_cli.contracts.errors import DseError
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.registry.atomic import write_atomic

#: Builders by task, in the order of the table.
TASKS: Final[dict[str, Callable[[Path, Sizes], Task]]] = {
    "bank-intent": banking_task,
    "boolean": boolean_task,
    "sports": sports_task,
    **{name: partial(lambda name, _, sizes: shipped_task(name, sizes), name) for name in EXAMPLES},
}


def main() -> None:
    """Run what is missing, then write the table."""
    options = _parser().parse_args()
    sizes = Sizes(options.train, options.val, options.test)
    data = Path(options.data)
    tasks = [TASKS[name](data, sizes) for name in TASKS if name in options.tasks]
    bench = Bench(Path(options.store).resolve(), options.budget, options.concurrency)
    results = Results(bench.store)
    if not options.only_table:
        for task, optimizer, seed in order(tasks, options.optimizers, options.seeds):
            run_once(bench, results, task, optimizer, seed)
            _write(bench, results, tasks, options.table)
    _write(bench, results, tasks, options.table)


def order(
    tasks: Sequence[Task], optimizers: Sequence[str], seeds: Sequence[int]
) -> Iterator[tuple[Task, str, int]]:
    """Yield the runs so that a table over all tasks and optimizers is there as soon as possible."""
    for seed in seeds:
        for task in tasks:
            for optimizer in optimizers:
                yield task, optimizer, seed


def run_once(bench: Bench, results: Results, task: Task, optimizer: str, seed: int) -> None:
    """Run one cell of the table, unless its result is there or on its way; say what came of it."""
    with results.claimed(task.name, optimizer, seed) as is_ours:
        done = results.find(task.name, optimizer, seed, bench.hash_of(task, optimizer))
        if is_ours and done is None:
            _run(bench, results, task, optimizer, seed)


def _run(bench: Bench, results: Results, task: Task, optimizer: str, seed: int) -> None:
    what = f"{task.name} {optimizer} seed {seed}"
    began = time.monotonic()
    try:
        result = bench.run(task, optimizer, seed)
    except DseError as error:
        results.put_problem(task.name, optimizer, seed, f"{error}\n{error.hint or ''}\n")
        print(f"{what}: FAILED after {time.monotonic() - began:.0f} s: {error}", flush=True)
    except Exception as error:  # noqa: BLE001 - a bug in one optimizer must not end the others' runs
        results.put_problem(task.name, optimizer, seed, traceback.format_exc())
        print(f"{what}: CRASHED after {time.monotonic() - began:.0f} s: {error!r}", flush=True)
    else:
        results.put(result)
        test = sum(result.test.values()) / len(result.test)
        base = sum(result.test_baseline.values()) / len(result.test_baseline)
        print(
            f"{what}: val {result.val_baseline:.3f} -> {result.val_winner:.3f}, "
            f"test {base:.3f} -> {test:.3f}, {result.candidates} candidates, "
            f"{result.metric_calls} metric calls, {result.lm_calls} calls, "
            f"{result.paid_calls} paid, {result.compile_seconds:.0f} + {result.test_seconds:.0f} s,"
            f" {result.stop}",
            flush=True,
        )


def _write(bench: Bench, results: Results, tasks: Sequence[Task], path: str | None) -> None:
    """Write the table of the runs of these tasks as they stand now; older ones do not count."""
    current = {(task.name, name): bench.hash_of(task, name) for task in tasks for name in ARMS}
    found = [
        result
        for result in results.every()
        if current.get((result.task, result.optimizer)) == result.inputs
    ]
    if not found or path is None:
        return
    lines = table(tasks, found, results.problems(), bench.budget)
    write_atomic(Path(path), "".join(f"{line}\n" for line in lines).encode())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.optimizer_table", description=__doc__)
    known = [name for name in ARMS if name in OPTIMIZERS]
    add = parser.add_argument
    add("--data", required=True, metavar="DIR", help="holds banking77/ and bbh/")
    add(
        "--store", required=True, metavar="DIR", help="projects, results and cache; made if need be"
    )
    add("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS), metavar="TASK")
    add("--optimizers", nargs="+", choices=known, default=known, metavar="ID")
    add("--seeds", nargs="+", type=int, default=[1, 2, 3], metavar="N")
    add("--train", type=int, default=40, metavar="ROWS")
    add("--val", type=int, default=16, metavar="ROWS")
    add("--test", type=int, default=40, metavar="ROWS")
    add("--budget", type=int, default=80, metavar="N", help="metric calls of a compile")
    add("--concurrency", type=int, default=2, metavar="N", help="cells in flight")
    add("--table", metavar="FILE", help="write the table there after every run")
    add("--only-table", action="store_true", help="run nothing")
    return parser


if __name__ == "__main__":
    main()
