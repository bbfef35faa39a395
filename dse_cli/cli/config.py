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
        from dse_cli.project.config import gate_rows
        from dse_cli.report.columns import columns

        opened = open_project(project)
        settings = opened.settings().rows()
        rows = [*settings, *gate_rows(opened.spec, opened.document)]
        shown = [[row.name, _shown(row.value), f"({row.origin})"] for row in rows]
        for line in columns(shown, "<<<", widest=None):
            out.text(line)
        out.document(
            "shown",
            {
                "settings": {
                    row.name: {"value": _plain(row.value), "origin": str(row.origin)}
                    for row in rows
                }
            },
        )


def _shown(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str | None) else str(value)
