"""``dse export``."""

from __future__ import annotations

import typer

from dse_cli.cli.common import Name, ProjectOption, command, open_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export_command)


def export_command(name: Name, project: ProjectOption = None) -> None:
    """Print the signature contract as language-neutral JSON, with all hashes."""
    with command():
        from dse_cli.project.specs import load_signature
        from dse_cli.registry.json_text import json_file_bytes

        loaded = load_signature(open_project(project), name)
        typer.echo(json_file_bytes(loaded.signature.export()).decode(), nl=False)
