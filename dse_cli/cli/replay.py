"""``dse replay``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse_cli.cli.common import (
    AllowCodeOption,
    ConcurrencyOption,
    JsonOption,
    Out,
    ProjectOption,
    QuietOption,
    command,
    open_project,
    run_async,
    run_options,
)
from dse_cli.contracts.errors import ExitCode

if TYPE_CHECKING:
    from dse_cli.workflows.replay import ReplayReport


class Mode(StrEnum):
    """How to replay."""

    VERIFY = "verify"
    STRICT = "strict"
    UNTIL_DIVERGENCE = "until-divergence"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_command)


def replay_command(
    run: Annotated[str, typer.Argument(help="Run: folder of a receipt, or a prefix of its hash.")],
    mode: Annotated[
        Mode,
        typer.Option(
            help="verify: every hash. strict: derive the artifact again, offline. "
            "until-divergence: go on live where the run asks something new."
        ),
    ] = Mode.STRICT,
    concurrency: ConcurrencyOption = None,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Prove that an artifact is what its receipt says it is."""
    with command(as_json=as_json, quiet=quiet) as out:
        opened = open_project(project, allow_code=allow_code)
        report = _replay(opened, run, mode, concurrency)
        same = report.winner in (None, report.recorded) and report.diverged_at is None
        _show(out, report, same=same)
        if not same:
            raise typer.Exit(ExitCode.QUALITY)


def _replay(opened: Any, run: str, mode: Mode, concurrency: int | None) -> ReplayReport:
    from dse_cli.workflows.replay import replay_strict, replay_until_divergence, verify_run

    if mode is Mode.VERIFY:
        return verify_run(opened, run)
    options = run_options(opened, concurrency=concurrency)
    play = replay_strict if mode is Mode.STRICT else replay_until_divergence
    report: ReplayReport = run_async(lambda: play(opened, run, options))
    return report


def _show(out: Out, report: ReplayReport, *, same: bool) -> None:
    from dse_cli.canonical import short

    if report.mode == "verify":
        out.text(f"{report.run}: every hash holds ({report.served} calls)")
    elif report.mode == "strict":
        out.text(f"{report.run}: the same bytes from {report.served} recorded calls, no network")
    elif same:
        out.text(f"{report.run}: nothing diverged ({report.served} calls served)")
    else:
        out.text(f"{report.run}: {report.served} calls served, {report.live} live")
        out.text(f"diverged at {report.diverged_at}")
        if report.winner is not None:
            out.text(f"winner {short(report.recorded)} -> {short(report.winner)}")
    out.document(
        "replayed" if same else "differences",
        {
            "run": report.run,
            "mode": report.mode,
            "served": report.served,
            "live": report.live,
            "diverged_at": report.diverged_at,
            "winner": report.winner,
            "recorded": report.recorded,
        },
    )
