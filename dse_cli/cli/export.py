"""``dse export``."""

from __future__ import annotations

import typer

from dse_cli.cli.common import (
    JsonOption,
    Name,
    ProjectOption,
    QuietOption,
    command,
    open_project,
    say,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export_command)


def export_command(
    name: Name,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Print the signature contract as language-neutral JSON, with all hashes."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.project.specs import load_signature
        from dse_cli.registry.json_text import json_file_bytes

        contract = load_signature(open_project(project), name).signature.export()
        if not as_json:
            say(json_file_bytes(contract).decode(), nl=False)
        out.document("exported", {"contract": contract})
