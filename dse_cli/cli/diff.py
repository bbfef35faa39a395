"""``dse diff``."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from dse_cli.cli.common import (
    JsonOption,
    Name,
    ProjectOption,
    QuietOption,
    command,
    open_project,
)
from dse_cli.contracts.errors import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("diff")(diff_command)


def diff_command(
    name: Name,
    before: Annotated[str, typer.Argument(help="active, default, or an artifact.")],
    after: Annotated[str, typer.Argument(help="active, default, or an artifact.")],
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what differs: prompt, demos, parameters, rows won and lost on val, cost."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.report.policy_diff import diff_policies
        from dse_cli.report.policy_diff_text import render_diff_text

        left, right, notes = _views(open_project(project), name, before, after)
        diff = diff_policies(left, right)
        for note in notes.values():
            out.text(note)
        out.text(render_diff_text(diff, out.color and sys.stdout.isatty()).rstrip("\n"))
        body = diff.to_json() | ({"overrides": notes} if notes else {})
        out.document("same" if diff.same_policy else "differences", body)
        if not diff.same_policy:
            raise typer.Exit(ExitCode.QUALITY)


def _views(opened: Any, name: str, before: str, after: str) -> tuple[Any, Any, dict[str, str]]:
    """Return both policies, and by the word for it, which of them is active by an override."""
    from dse_cli.report.policy_diff import view_policy
    from dse_cli.workflows.opening import open_signature
    from dse_cli.workflows.policies import comparable_evaluations, find_policy
    from dse_cli.workflows.promotion.channels import override_of

    found = open_signature(opened, name)
    left = find_policy(found.store, found.signature, found.authored, before)
    right = find_policy(found.store, found.signature, found.authored, after)
    first, second = comparable_evaluations(left, right)
    said = {
        word: override_of(found.store, named) for word, named in ((before, left), (after, right))
    }
    notes = {word: f"{word}: {text}" for word, text in said.items() if text}
    return (
        view_policy(left.label, left.policy, evaluation=first),
        view_policy(right.label, right.policy, evaluation=second),
        notes,
    )
