"""``dse compile``: search, write. Resumable; the same responses write the same bytes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.lm.journal import Journal
from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.registry.receipts import put_receipt
from dse_cli.workflows.compiles.compile_outputs import CompileOutputs, build_outputs
from dse_cli.workflows.compiles.compile_search import (
    SearchOutcome,
    find_optimizer,
    run_search,
)
from dse_cli.workflows.compiles.latest import remember_latest
from dse_cli.workflows.session import RunOptions, Session, open_session

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class CompileResult:
    """What a compile came to.

    Attributes:
        outputs: what was written.
        outcome: the search.
        folder: ``receipts/<run12>`` in the store.
        artifact_name: ``compiled/<id12>-<run12>.json`` in the store.
        paid_calls: model calls that really left the machine.
        resumed_calls: calls served from an interrupted run.
        seconds: wall clock.
    """

    outputs: CompileOutputs
    outcome: SearchOutcome
    folder: str
    artifact_name: str
    paid_calls: int
    resumed_calls: int
    seconds: float


async def compile_signature(
    inputs: JobInputs,
    options: RunOptions,
    *,
    resume: bool = False,
) -> CompileResult:
    """Search, and write artifact, receipt and transcript.

    Args:
        resume: answer from the journal of an interrupted run with the same inputs first.

    Raises:
        SpecError: the job does not fit its optimizer.
        BudgetExhaustedError: the budget does not cover one pass of the base over val.
        InfrastructureError: too many outages; resumable.
    """
    started = time.monotonic()
    find_optimizer(inputs)
    folder = run_folder(inputs)
    journal = _journal(folder, resume=resume)
    async with open_session(
        inputs.catalog,
        inputs.reward,
        options,
        seed=inputs.job.seed,
        judges=inputs.judges,
        budget=inputs.job.budget,
        journal=journal,
    ) as session:
        outcome = await run_search(inputs, session.engine)
        transcript = session.gateway.transcript.to_files()
    outputs = build_outputs(inputs, outcome, transcript)
    written = put_receipt(
        inputs.store,
        outputs.artifact.provenance.run,
        outputs.receipt,
        calls=outputs.files.calls,
        texts=outputs.files.texts,
        report_md=outputs.files.report,
        artifact=outputs.artifact,
        index=outputs.index,
    )
    result = CompileResult(
        outputs=outputs,
        outcome=outcome,
        folder=written,
        artifact_name=inputs.store.artifact_name(outputs.artifact),
        paid_calls=session.gateway.meter.paid.calls,
        resumed_calls=session.gateway.recording.resumed,
        seconds=time.monotonic() - started,
    )
    _finish(folder, session, result)
    remember_latest(inputs.project, inputs.name, result.artifact_name)
    return result


def run_folder(inputs: JobInputs) -> Path:
    """Return the working folder of a run with these inputs."""
    return inputs.project.paths.runs / short(inputs.run_inputs_hash)


def _journal(folder: Path, *, resume: bool) -> Journal:
    path = folder / "journal.jsonl"
    if path.exists() and not resume:
        # Starting over never destroys what was paid: the old journal is kept beside the new one.
        number = 1
        while (kept := folder / f"journal.{number}.jsonl").exists():
            number += 1
        path.rename(kept)
    journal = Journal(path)
    if resume:
        journal.load()
    return journal


def _finish(folder: Path, session: Session, result: CompileResult) -> None:
    """Write the wall-clock facts, which stay out of git, and drop the finished journal."""
    retrying = session.gateway.retrying
    facts = {
        "run": result.outputs.artifact.provenance.run,
        "seconds": round(result.seconds, 3),
        "charged": session.gateway.meter.charged.to_json(),
        "paid": session.gateway.meter.paid.to_json(),
        "resumed_calls": result.resumed_calls,
        "transport_retries": 0 if retrying is None else retrying.retries,
    }
    write_atomic(folder / "run.json", json_file_bytes(json.loads(json.dumps(facts))))
    (folder / "journal.jsonl").unlink(missing_ok=True)
