"""``dse config``."""

from __future__ import annotations

import typer

from dse_cli.cli.common import JsonOption, ProjectOption, QuietOption, command, open_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("config")(config_command)


def config_command(
    project: ProjectOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Show every setting in force, and where it comes from."""
    with command(as_json=as_json, quiet=quiet) as out:
        rows = open_project(project).settings().rows()
        width = max(len(row.name) for row in rows)
        for row in rows:
            out.text(f"{row.name:<{width}}  {row.value}  ({row.origin})")
        out.document(
            "shown",
            {
                "settings": {
                    row.name: {"value": _plain(row.value), "origin": str(row.origin)}
                    for row in rows
                }
            },
        )


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
