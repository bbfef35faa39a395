"""The two sides of one comparison: the same rows in the same files, as a job for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench import task
from bench.harness import Context, Server, interleaved, run_ours, run_theirs

#: Requests before the clock starts: one row each, to import and to connect.
WARM_UP = 1


@dataclass(frozen=True)
class Pair:
    """Ours and theirs on ``rows`` rows.

    Attributes:
        context: how to run.
        name: of the folder to use.
        rows: how many.
        concurrency: calls in flight.
        server: asked over HTTP; None answers in the process.
        also_native: measure dspy without LiteLLM too (3.4 and later have a client of their own).
        cached: both sides use a disk cache, which is filled before anything is measured.
    """

    context: Context
    name: str
    rows: int
    concurrency: int
    server: Server | None = None
    cached: bool = False
    also_native: bool = False

    def run(self, *, runs: int | None = None) -> dict[str, list[dict[str, Any]]]:
        """Measure and return the results by side.

        The sides are ``ours`` and, when dspy is there, ``theirs`` and perhaps ``theirs_native``.
        """
        port = None if self.server is None else self.server.port
        project = task.write_project(self._folder, self.rows, port)
        jobs = {"ours": self._watched(lambda: run_ours(self._our_job(project)))}
        python = self.context.dspy_python
        if python is not None:
            for side, litellm in (("theirs", True), ("theirs_native", False)):
                if litellm or self.also_native:
                    job = {**self._their_job(project), "litellm": litellm}
                    jobs[side] = self._watched(partial(run_theirs, python, job))
        if self.cached:
            run_ours(self._our_job(project))
            if python is not None:
                run_theirs(python, {**self._their_job(project), "litellm": True})
        return interleaved(self.context.runs if runs is None else runs, jobs)

    @property
    def _folder(self) -> Path:
        return self.context.folder / self.name

    def _watched(self, job: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        server = self.server
        if server is None:
            return job
        requests = 0 if self.cached else self.rows + WARM_UP
        return lambda: server.watched(job, requests)

    def _our_job(self, project: Path) -> dict[str, Any]:
        return {
            "project": str(project),
            "concurrency": self.concurrency,
            "cache": str(self._folder / "our-cache") if self.cached else None,
            "scripted": self.server is None,
            "rollouts": 1,
        }

    def _their_job(self, project: Path) -> dict[str, Any]:
        return {
            "rows": str(project / "datasets" / "bench" / "examples.jsonl"),
            "instruction": task.INSTRUCTION,
            "queues": task.QUEUES,
            "port": None if self.server is None else self.server.port,
            "concurrency": self.concurrency,
            "cache": str(self._folder / "their-cache") if self.cached else None,
        }
