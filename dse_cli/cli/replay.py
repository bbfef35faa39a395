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
from dse_cli.contracts.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dse_cli.workflows.replays.replay import ReplayReport
    from dse_cli.workflows.replays.replay_all import AllMode, Replayed


class Mode(StrEnum):
    """How to replay."""

    VERIFY = "verify"
    STRICT = "strict"
    UNTIL_DIVERGENCE = "until-divergence"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("replay")(replay_command)


def replay_command(
    run: Annotated[
        str | None,
        typer.Argument(
            help="Run: folder of a receipt, or a prefix of its hash. With --all: a signature."
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="verify: every hash. strict: derive the artifact again, offline. "
            "until-divergence: go on live where the run asks something new."
        ),
    ] = Mode.STRICT,
    every: Annotated[
        bool, typer.Option("--all", help="Every receipt of the project, or of one signature.")
    ] = False,
    concurrency: ConcurrencyOption = None,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Prove that an artifact is what its receipt says it is."""
    with command(as_json=as_json, quiet=quiet) as out:
        _refuse_contradictions(run, mode, every=every)
        opened = open_project(project, allow_code=allow_code)
        if every or run is None:
            _replay_all(out, opened, run, mode, concurrency)
            return
        report = _replay(opened, run, mode, concurrency)
        same = report.winner in (None, report.recorded) and report.diverged_at is None
        _show(out, report, same=same)
        if not same:
            raise typer.Exit(ExitCode.QUALITY)


def _refuse_contradictions(run: str | None, mode: Mode, *, every: bool) -> None:
    if run is None and not every:
        raise UsageError(
            "name a run, or say --all", hint="the folders under artifacts/NAME/receipts are runs"
        )
    if every and mode is Mode.UNTIL_DIVERGENCE:
        raise UsageError(
            "--all replays what is recorded, and until-divergence calls models",
            hint="use --mode strict or --mode verify, or name one run",
        )


def _replay(opened: Any, run: str, mode: Mode, concurrency: int | None) -> ReplayReport:
    from dse_cli.workflows.replays.replay import replay_strict, replay_until_divergence, verify_run

    if mode is Mode.VERIFY:
        return verify_run(opened, run)
    options = run_options(opened, concurrency=concurrency)
    play = replay_strict if mode is Mode.STRICT else replay_until_divergence
    report: ReplayReport = run_async(lambda: play(opened, run, options))
    return report


def _replay_all(
    out: Out, opened: Any, name: str | None, mode: Mode, concurrency: int | None
) -> None:
    from dse_cli.workflows.replays.replay_all import all_receipts, gravest_code, replay_receipts

    receipts = all_receipts(opened, name)
    options = run_options(opened, concurrency=concurrency)
    results: list[Replayed] = []

    async def go() -> None:
        all_mode: AllMode = "verify" if mode is Mode.VERIFY else "strict"
        async for result in replay_receipts(opened, receipts, all_mode, options):
            results.append(result)
            out.text(_line(result))
            if result.error is not None and result.error.hint:
                out.note(f"hint: {result.error.hint}")

    run_async(go)
    code = gravest_code(results)
    worst = next((result.outcome for result in results if result.code is code and code), "replayed")
    failed = sum(result.error is not None for result in results)
    out.text(_count(results, failed))
    out.document(
        worst, {"failed": failed, "results": [_document(result, mode) for result in results]}
    )
    if code:
        raise typer.Exit(code)


def _line(result: Replayed) -> str:
    start = f"{result.receipt.signature} "
    if result.error is not None:
        return f"{start}{result.receipt.run}: {result.outcome}: {result.error.message}"
    if result.report is None:
        raise ValueError("a result is a report or an error")
    note = f" ({result.note})" if result.note else ""
    return start + _sentence(result.report) + note


def _count(results: list[Replayed], failed: int) -> str:
    if not results:
        return "there is no receipt to replay"
    what = f"{len(results)} receipt{'' if len(results) == 1 else 's'}"
    if failed:
        return f"{what}, {failed} failed"
    verified = sum(result.outcome == "verified" for result in results)
    if verified == len(results):
        return f"{what} verified"
    return f"{what} replayed" + (f", {verified} of them only verified" if verified else "")


def _document(result: Replayed, mode: Mode) -> dict[str, Any]:
    error, report = result.error, result.report
    return {
        "signature": result.receipt.signature,
        "run": result.receipt.run,
        "active": result.receipt.serves,
        "outcome": result.outcome,
        "mode": str(mode) if report is None else report.mode,
        "served": None if report is None else report.served,
        "message": result.note if error is None else error.message,
        "hint": None if error is None else error.hint,
    }


def _sentence(report: ReplayReport) -> str:
    from dse_cli.evaluation.views.words import counted

    if report.mode == "verify":
        return f"{report.run}: every hash holds ({counted(report.served, 'call')})"
    calls = counted(report.served, "recorded call")
    return f"{report.run}: the same bytes from {calls}, no network"


def _show(out: Out, report: ReplayReport, *, same: bool) -> None:
    from dse_cli.canonical import short

    if report.mode in ("verify", "strict"):
        out.text(_sentence(report))
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
