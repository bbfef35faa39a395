"""``dse init``."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from dse_cli.cli.common import JsonOption, QuietOption, command
from dse_cli.contracts.errors import UsageError


class Judges(StrEnum):
    """The judges that ship with dse."""

    RUBRIC = "rubric"
    PAIRWISE = "pairwise"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init_command)


def init_command(
    folder: Annotated[Path, typer.Argument(help="Where; made if missing.")] = Path(),
    judge: Annotated[
        Judges | None,
        typer.Option("--judge", help="Add this judge to the project that is there."),
    ] = None,
    meta: Annotated[
        str | None,
        typer.Option(
            "--meta", metavar="NAME", help="Add a proposer's meta-signature, to make it your own."
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a working project: one signature, its dataset, its job, a CI workflow."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.workflows.init import SIGNATURE, add_judge, add_meta, init_project

        if judge is not None and meta is not None:
            raise UsageError("--judge and --meta add one thing each: use one of them")
        if meta is not None:
            name, written = add_meta(folder, meta)
            for file in written:
                out.text(file)
            note = f"'meta: {{{meta}: {{signature: {name}}}}}'"
            out.note(f"\nnext: change it, then name it in a job with {note}")
            out.document("initialised", {"files": written, "signature": name})
            return
        if judge is not None:
            name, written = add_judge(folder, judge.value)
            for file in written:
                out.text(file)
            out.note(f"\nnext: dse check, then dse compile {name}, then pin it in a reward")
            out.document("initialised", {"files": written, "signature": name})
            return
        written = init_project(folder)
        for name in written:
            out.text(name)
        where = "" if folder == Path() else f"cd {folder}, then "
        out.note(f"\nnext: {where}dse check, then dse compile {SIGNATURE}")
        out.document("initialised", {"files": written, "signature": SIGNATURE})
