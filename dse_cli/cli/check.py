"""``dse check``."""

from __future__ import annotations

from typing import Annotated

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
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what is safe to repair, then check.")
    ] = False,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Check every spec, hash, pointer and history chain. No model is called."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.report.terminal_diagnostics import diagnostics_json
        from dse_cli.workflows.checks.check import check_project, gravest
        from dse_cli.workflows.checks.check_fix import fix_project

        opened = open_project(project, allow_code=allow_code)
        fixed = fix_project(opened) if fix else []
        for repair in fixed:
            out.text(f"fixed: {repair.file}: {repair.message}")
        findings = check_project(opened)
        if findings:
            show_diagnostics(out, findings, root=opened.root)
        code = gravest(findings)
        words = {
            ExitCode.DONE: "sound",
            ExitCode.QUALITY: "stale",
            ExitCode.USAGE: "spec",
            ExitCode.INTEGRITY: "altered",
        }
        if not findings:
            out.text("sound")
        out.document(
            words[code],
            {
                "diagnostics": diagnostics_json(findings),
                "fixed": [repair.to_json() for repair in fixed],
            },
        )
        if code:
            raise typer.Exit(code)
