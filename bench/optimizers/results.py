"""The results of a store: one JSON file for each task, optimizer and seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from dse_cli.canonical import sha256_of
from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.json_text import json_file_bytes


@dataclass(frozen=True)
class Result:
    """One run: what the compile came to, and its winner and the baseline on the test rows.

    Attributes:
        task, optimizer, seed: which run.
        inputs: hash of the files of the task's project that decide it; another hash is another run.
        config: settings as written in the job.
        compiled_id: the winner.
        improved: whether the winner is not the policy as written.
        stop: why the search ended.
        val_baseline, val_winner: mean rewards on val, where the winner was selected.
        test, test_baseline: reward by row on the test rows.
        candidates: distinct candidates, the base included.
        metric_calls, lm_calls, tokens: charged to the compile.
        paid_calls: calls that no cache answered.
        compile_seconds, test_seconds: wall clock.
    """

    task: str
    optimizer: str
    seed: int
    inputs: str
    config: dict[str, Any]
    compiled_id: str
    improved: bool
    stop: str
    val_baseline: float
    val_winner: float
    test: dict[str, float]
    test_baseline: dict[str, float]
    candidates: int
    metric_calls: int
    lm_calls: int
    tokens: int | None
    paid_calls: int
    compile_seconds: float
    test_seconds: float


class Results:
    """Reads and writes the results of a store.

    Args:
        store: the folder of the comparison.
    """

    def __init__(self, store: Path) -> None:
        self._folder = store / "results"

    def path(self, task: str, optimizer: str, seed: int) -> Path:
        """Return where a result stands."""
        return self._folder / task / optimizer / f"seed={seed}.json"

    def find(self, task: str, optimizer: str, seed: int, inputs: str) -> Result | None:
        """Return a result, or None when it is not there or of other inputs."""
        path = self.path(task, optimizer, seed)
        if not path.exists():
            return None
        found = _read(path)
        return found if found.inputs == inputs else None

    def put(self, result: Result) -> None:
        """Write a result, over an older one."""
        path = self.path(result.task, result.optimizer, result.seed)
        write_atomic(path, json_file_bytes(asdict(result)))
        self.problem_path(result.task, result.optimizer, result.seed).unlink(missing_ok=True)

    @contextmanager
    def claimed(self, task: str, optimizer: str, seed: int) -> Iterator[bool]:
        """Yield whether the run is ours to make: no other process makes it at this moment.

        So several invocations may work on one store. A process that dies gives its claim back.
        """
        path = self.path(task, optimizer, seed).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def problem_path(self, task: str, optimizer: str, seed: int) -> Path:
        """Return where it stands why a run gave no result."""
        return self._folder / task / optimizer / f"seed={seed}.problem.txt"

    def put_problem(self, task: str, optimizer: str, seed: int, text: str) -> None:
        """Write why a run gave no result; the next invocation tries it again."""
        write_atomic(self.problem_path(task, optimizer, seed), text.encode())

    def every(self) -> list[Result]:
        """Return all results, by task, optimizer and seed."""
        found = [_read(path) for path in sorted(self._folder.glob("*/*/seed=*.json"))]
        return sorted(found, key=lambda result: (result.task, result.optimizer, result.seed))

    def problems(self) -> dict[tuple[str, str], int]:
        """Return how many runs gave no result, by task and optimizer."""
        found: dict[tuple[str, str], int] = {}
        for path in sorted(self._folder.glob("*/*/seed=*.problem.txt")):
            key = (path.parent.parent.name, path.parent.name)
            found[key] = found.get(key, 0) + 1
        return found


def inputs_hash(files: Mapping[str, str], job: str) -> str:
    """Return the hash of what decides a run: the project's files but the jobs of others.

    Args:
        files: the files of the project by path.
        job: path of the job of this run.
    """
    own = {
        name: text
        for name, text in files.items()
        if name == job or not name.rpartition("/")[2].startswith("compile.")
    }
    return sha256_of(own)


def _read(path: Path) -> Result:
    return Result(**json.loads(path.read_text(encoding="utf-8")))
