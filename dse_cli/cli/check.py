"""``dse check``."""

from __future__ import annotations

import typer

from dse_cli.cli.common import (
    AllowCodeOption,
    JsonOption,
    ProjectOption,
    QuietOption,
    command,
    open_project,
    show_diagnostics,
)
from dse_cli.contracts.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("check")(check_command)


def check_command(
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check every spec, hash, pointer and history chain. No model is called."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.report.terminal_diagnostics import diagnostics_json
        from dse_cli.workflows.check import check_project, gravest

        findings = check_project(open_project(project, allow_code=allow_code))
        if findings:
            show_diagnostics(out, findings)
        code = gravest(findings)
        words = {
            ExitCode.DONE: "sound",
            ExitCode.QUALITY: "stale",
            ExitCode.USAGE: "spec",
            ExitCode.INTEGRITY: "altered",
        }
        if not findings:
            out.text("sound")
        out.document(words[code], {"diagnostics": diagnostics_json(findings)})
        if code:
            raise typer.Exit(code)
