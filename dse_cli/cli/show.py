"""``dse show``."""

from __future__ import annotations

from typing import Annotated

import typer

from dse_cli.cli.common import JsonOption, Name, ProjectOption, QuietOption, command, open_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("show")(show_command)


def show_command(
    name: Name,
    policy: Annotated[str, typer.Argument(help="active, default, or an artifact.")] = "active",
    prompt: Annotated[
        bool, typer.Option("--prompt", help="The messages as the model gets them.")
    ] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show a policy: prompt, params, what it scored, where it comes from, how it was found."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.report.policy_text import policy_document, policy_lines, prompt_lines
        from dse_cli.report.search_lines import search_document, search_text
        from dse_cli.workflows.opening import open_signature
        from dse_cli.workflows.policies import find_policy, search_result
        from dse_cli.workflows.promotion.channels import channel_notes

        opened = open_project(project)
        found = open_signature(opened, name)
        named = find_policy(found.store, found.signature, found.authored, policy)
        standing = channel_notes(opened, found.store, named)
        lines = (
            prompt_lines(named.policy)
            if prompt
            else policy_lines(named.label, named.policy, named.artifact)
        )
        result = None if prompt else search_result(found.store, named)
        searched = () if result is None else search_text(result)
        for line in lines if prompt else (*standing.lines, *lines, *searched):
            out.text(line)
        body = policy_document(named.policy, named.artifact)
        if result is not None and (search := search_document(result)):
            body["search"] = search
        out.document("shown", body | standing.document)
