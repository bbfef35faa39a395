"""``dse schema``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any

import typer

from dse_cli.cli.common import JsonOption, QuietOption, command


class File(StrEnum):
    """Files that have a schema."""

    PROJECT = "dse.yaml"
    SIGNATURE = "signature.yaml"
    DATASET = "dataset.yaml"
    JOB = "compile.yaml"
    ARTIFACT = "artifact"
    RECEIPT = "receipt"
    HISTORY = "history"
    ACTIVE = "active.yaml"
    CANARY = "canary.yaml"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("schema")(schema_command)


def schema_command(
    file: Annotated[File, typer.Argument(help="Which file.")],
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the JSON Schema of a file, for editors."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.project.described_schema import described_schema

        schema = described_schema(_contract(file))
        out.text(json.dumps(schema, indent=2, sort_keys=True))
        out.document("shown", {"schema": schema})


def _contract(file: File) -> Any:
    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.dataset import DatasetSpec
    from dse_cli.contracts.history import ActivePointer, HistoryRecord
    from dse_cli.contracts.job import CompileJob
    from dse_cli.contracts.project import ProjectSpec
    from dse_cli.contracts.receipt import CompileReceipt
    from dse_cli.contracts.signature import SignatureSpec

    return {
        File.PROJECT: ProjectSpec,
        File.SIGNATURE: SignatureSpec,
        File.DATASET: DatasetSpec,
        File.JOB: CompileJob,
        File.ARTIFACT: CompiledArtifact,
        File.RECEIPT: CompileReceipt,
        File.HISTORY: HistoryRecord,
        File.ACTIVE: ActivePointer,
        File.CANARY: CanaryPointer,
    }[file]
