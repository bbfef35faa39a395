"""``dse rollback``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse_cli.cli.common import JsonOption, Name, ProjectOption, QuietOption, command, open_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rollback")(rollback_command)


def rollback_command(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; written into the history.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move the pointer to the policy that was promoted before the active one."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.canonical import short
        from dse_cli.project.specs import load_signature
        from dse_cli.registry.store import SignatureStore
        from dse_cli.workflows.promote import rollback_policy

        opened = open_project(project)
        loaded = load_signature(opened, name)
        store = SignatureStore(opened.paths.artifact(loaded.folder), opened.paths.locks)
        record = rollback_policy(store, loaded.signature.id, reason=reason)
        target = record.target
        where = "the authored policy" if target is None else short(target.compiled_id)
        out.text(f"{loaded.folder}: rolled back to {where}")
        out.document(
            "rolled_back",
            {
                "signature": loaded.folder,
                "target": None if target is None else target.compiled_id,
                "sequence": record.sequence,
            },
        )
