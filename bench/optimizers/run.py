"""One run: compile with one optimizer and one seed, then measure the winner on the test rows."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.optimizers.project import TEST_JOB, project_files, slug, write_project
from bench.optimizers.results import Result, inputs_hash
from bench.optimizers.settings import Scale
from dse_cli.contracts.errors import InfrastructureError
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import compile_signature, run_folder
from dse_cli.workflows.evals.eval_rows import Selection
from dse_cli.workflows.evals.evaluate import evaluate_policy
from dse_cli.workflows.inputs import load_inputs
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.session import RunOptions

if TYPE_CHECKING:
    from bench.optimizers.task import Task
    from dse_cli.contracts.evaluation import EvalSummary
    from dse_cli.report.eval_report import EvalReport
    from dse_cli.workflows.compiles.compile import CompileResult


@dataclass(frozen=True)
class Bench:
    """Where runs stand and how they run.

    Attributes:
        store: holds projects, results and the disk cache that all runs share.
        budget: most metric calls of a compile.
        concurrency: cells in flight.
    """

    store: Path
    budget: int
    concurrency: int = 2

    def files(self, task: Task) -> dict[str, str]:
        """Return the project of a task: text by path."""
        return project_files(task, Scale(len(task.splits.val), self.budget, task.threshold))

    def hash_of(self, task: Task, optimizer: str) -> str:
        """Return the hash of what decides a run besides its seed."""
        job = f"signatures/{task.name}/compile.{slug(optimizer)}.yaml"
        return inputs_hash(self.files(task), job)

    def run(self, task: Task, optimizer: str, seed: int) -> Result:
        """Compile and measure; an interrupted compile is resumed.

        Raises:
            DseError: the job cannot run, or the model does not answer.
        """
        home = self.store / "projects" / task.name
        write_project(home, self.files(task))
        project = Project.open(root=home)
        options = RunOptions(cache=self.store / "cache", concurrency=self.concurrency)
        inputs = load_inputs(project, task.name, variant=slug(optimizer), overrides={"seed": seed})
        is_interrupted = (run_folder(inputs) / "journal.jsonl").exists()
        compiled = asyncio.run(compile_signature(inputs, options, resume=is_interrupted))
        started = time.monotonic()
        report = asyncio.run(_measured(project, task, compiled, options))
        seconds = time.monotonic() - started
        artifact = compiled.outputs.artifact
        receipt = compiled.outputs.receipt.predicate.result
        if report.baseline is None:
            raise RuntimeError("the baseline was not measured")
        return Result(
            task=task.name,
            optimizer=optimizer,
            seed=seed,
            inputs=self.hash_of(task, optimizer),
            config=artifact.optimizer.config,
            compiled_id=artifact.compiled_id,
            improved=receipt.improved,
            stop=artifact.optimizer.stop_reason.kind,
            val_baseline=artifact.baseline.mean or 0.0,
            val_winner=artifact.evaluation.mean or 0.0,
            test=_rewards(report.summary),
            test_baseline=_rewards(report.baseline.summary),
            candidates=len(receipt.candidates),
            metric_calls=receipt.charged["metric_calls"] or 0,
            lm_calls=receipt.charged["lm_calls"] or 0,
            tokens=receipt.charged["tokens"],
            paid_calls=compiled.paid_calls,
            compile_seconds=round(compiled.seconds, 1),
            test_seconds=round(seconds, 1),
        )


async def _measured(
    project: Project, task: Task, compiled: CompileResult, options: RunOptions
) -> EvalReport:
    """Measure winner and baseline by the job whose dataset holds the test rows and no others."""
    inputs = load_inputs(project, task.name, variant=TEST_JOB)
    store, signature = inputs.store, inputs.signature
    winner = find_policy(store, signature, inputs.base, compiled.artifact_name)
    default = find_policy(store, signature, inputs.base, "default")
    return await evaluate_policy(
        inputs, winner, options, selection=Selection(split="val"), against=default
    )


def _rewards(summary: EvalSummary) -> dict[str, float]:
    """Return the reward by row.

    Raises:
        InfrastructureError: a row has none, because the model did not answer.
    """
    found = {row: reward for row, reward in summary.rows.items() if reward is not None}
    if len(found) != len(summary.rows):
        raise InfrastructureError(
            f"{len(summary.rows) - len(found)} test rows were not answered",
            hint="run it again: answers that came are in the cache",
        )
    return found
