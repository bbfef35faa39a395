"""What the last ``dse eval`` of a signature, split and job left: the rows that were not perfect.

Machine-local, outside git; ``--failed`` reads it. It decides nothing but which rows are run again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from pydantic import ValidationError

from dse_cli.contracts.base import Contract, Sha256
from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.evaluation.summary import PASSES
from dse_cli.evaluation.views.words import counted
from dse_cli.registry.atomic import write_atomic
from dse_cli.registry.json_text import json_file_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.contracts.dataset import Split
    from dse_cli.report.eval_report import EvalReport
    from dse_cli.workflows.inputs import JobInputs

_FORMAT: Final = "dse/last_eval/v1"


class LastEval(Contract):
    """``.dse/evals/<name>/<split>[.<job>].json``.

    Attributes:
        dataset_revision: the dataset then; rows that changed since are still meant by their id.
        measured: how many rows were measured.
        failed: reward of each row that was not perfect; None for an outage.
    """

    format: Literal["dse/last_eval/v1"]
    dataset_revision: Sha256
    measured: int
    failed: dict[str, float | None]


def remember(inputs: JobInputs, report: EvalReport) -> None:
    """Write down which rows were not perfect, in any line of the table but the baseline."""
    failed: dict[str, float | None] = {}
    for measured in report.measured:
        # An outage of one rollout is not in the row's reward, and still has to be run again.
        outages = {cell.example for cell in measured.cells if cell.is_outage}
        for row, reward in measured.summary.rows.items():
            if reward is None or row in outages:
                failed[row] = None
            elif reward < PASSES:
                known = failed.get(row, 1.0)
                failed[row] = None if known is None else min(known, reward)
    record = LastEval(
        format=_FORMAT,
        dataset_revision=inputs.dataset.revision,
        measured=len(report.rows),
        failed=failed,
    )
    write_atomic(_file(inputs, report.split), json_file_bytes(record.model_dump(mode="json")))


def failed_rows(inputs: JobInputs, split: Split) -> frozenset[str]:
    """Return the ids of the rows that were not perfect in the last evaluation here.

    Raises:
        NothingSelectedError: there was none, it cannot be read, or everything was perfect.
    """
    file = _file(inputs, split)
    command = f"dse eval {inputs.name}" + ("" if split == "val" else f" --split {split}")
    if inputs.variant is not None:
        command += f" --job {inputs.variant}"
    if not file.is_file():
        raise NothingSelectedError(
            f"no evaluation of {inputs.name} on {split} was made here",
            hint=f"run '{command}' first; --failed then selects the rows that were not perfect",
        )
    try:
        last = LastEval.model_validate_json(file.read_bytes())
    except ValidationError:
        raise NothingSelectedError(
            f"what the last evaluation left in .dse/evals/{inputs.name}/{file.name} cannot be read",
            hint=f"run '{command}' once more",
        ) from None
    if not last.failed:
        raise NothingSelectedError(
            f"nothing failed: the last evaluation measured {counted(last.measured, 'row')} of "
            f"{split}, and found nothing that is not perfect",
            hint="run it without --failed",
        )
    return frozenset(last.failed)


def _file(inputs: JobInputs, split: str) -> Path:
    job = "" if inputs.variant is None else f".{inputs.variant}"
    return inputs.project.paths.local / "evals" / inputs.name / f"{split}{job}.json"
