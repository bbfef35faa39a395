"""``dse cache``: the disk cache of model responses."""

from __future__ import annotations

from typing import Annotated

import typer

from dse_cli.cli.common import JsonOption, ProjectOption, QuietOption, command, open_project
from dse_cli.contracts.errors import UsageError

app = typer.Typer(help="The disk cache of model responses.", no_args_is_help=True)


@app.command("stats")
def stats_command(
    project: ProjectOption = None, as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Show how many responses are kept, and how large they are."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.evaluation.views.words import counted
        from dse_cli.lm.cache_folder import cache_stats

        folder = open_project(project).settings().cache_dir
        stats = cache_stats(folder)
        state = "" if stats.readable else ", and the database is damaged"
        kept = counted(stats.entries, "response")
        out.text(f"{kept}, {stats.bytes / 1e6:.1f} MB, in {folder}{state}")
        data = {
            "entries": stats.entries,
            "bytes": stats.bytes,
            "folder": str(folder),
            "readable": stats.readable,
        }
        out.document("shown", data)


@app.command("clear")
def clear_command(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Remove every kept response. They were paid for, so this asks first."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.lm.cache_folder import cache_stats, clear

        folder = open_project(project).settings().cache_dir
        stats = cache_stats(folder)
        if stats.entries and not yes and not _agreed(stats.entries):
            raise UsageError("nothing was removed", hint="--yes answers the question")
        clear(folder)
        out.text(f"{stats.entries} responses removed")
        out.document("cleared", {"removed": stats.entries})


def _agreed(entries: int) -> bool:
    try:
        return typer.confirm(f"remove {entries} responses that were paid for?", err=True)
    except typer.Abort:  # nobody is there to answer
        return False
