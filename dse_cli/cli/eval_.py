"""``dse eval``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse_cli.cli.common import (
    AllowCodeOption,
    ConcurrencyOption,
    JobOption,
    JsonOption,
    Name,
    NoCacheOption,
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
    from dse_cli.workflows.evaluate import EvalReport


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(eval_command)


def eval_command(
    name: Name,
    policy: Annotated[
        str, typer.Option(metavar="ID", help="active, default, or an artifact.")
    ] = "active",
    against: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Compare with active, default, or an artifact."),
    ] = None,
    split: Annotated[str, typer.Option(help="train or val; the holdout is for the gate.")] = "val",
    tag: Annotated[list[str] | None, typer.Option(help="Rows with this tag.")] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="This row.")] = None,
    sample: Annotated[int | None, typer.Option(min=1, help="Draw N rows.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="First N rows.")] = None,
    repeat: Annotated[int, typer.Option(min=1, max=100, help="Rollouts a row.")] = 1,
    fail_under: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Exit 1 below this mean reward."),
    ] = None,
    max_regression: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Exit 1 when worse than --against by more."),
    ] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Print every imperfect row.")] = False,
    job: JobOption = None,
    concurrency: ConcurrencyOption = None,
    no_cache: NoCacheOption = False,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure a policy: mean with its interval, slices, errors apart from wrong answers."""
    with command(as_json=as_json, quiet=quiet) as out:
        if split not in ("train", "val"):
            raise UsageError(
                f"--split {split!r} is not train or val",
                hint="the holdout is opened by 'dse promote' only, and each look is counted",
            )
        if max_regression is not None and against is None:
            raise UsageError("--max-regression needs --against to compare with")
        selection = {
            "split": split,
            "tags": tuple(tag or ()),
            "ids": tuple(id_ or ()),
            "sample": sample,
            "limit": limit,
        }
        report = _evaluate(
            out,
            open_project(project, allow_code=allow_code),
            name,
            job,
            policy,
            against,
            selection,
            repeat=repeat,
            run={"no_cache": no_cache, "concurrency": concurrency},
        )
        _show(out, report, rows=rows)
        outcome = _outcome(report, fail_under, max_regression)
        out.document(outcome, _document(report))
        if outcome != "evaluated":
            out.note(f"\n{outcome.replace('_', ' ')}")
            raise typer.Exit(ExitCode.QUALITY)


def _evaluate(
    out: Out,
    opened: Any,
    name: str,
    job: str | None,
    policy: str,
    against: str | None,
    selection: dict[str, Any],
    *,
    repeat: int,
    run: dict[str, Any],
) -> EvalReport:
    from dse_cli.cli.progress import WeightsProgress, showing, watcher
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.workflows.evaluate import Selection, evaluate_policy, select_rows
    from dse_cli.workflows.inputs import load_inputs
    from dse_cli.workflows.policies import find_policy

    with showing(out) as bar:
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(bar))
        inputs = load_inputs(opened, name, variant=job, catalog=catalog)
        chosen = Selection(**selection)
        cells = len(select_rows(inputs, chosen)) * repeat * (1 if against is None else 2)
        args = (inputs.store, inputs.signature, inputs.base)
        options = run_options(opened, observer=watcher(out, bar, cells), **run)
        measured = find_policy(*args, policy)
        other = None if against is None else find_policy(*args, against)
        result: EvalReport = run_async(
            lambda: evaluate_policy(
                inputs, measured, options, selection=chosen, repeat=repeat, against=other
            )
        )
    return result


def _outcome(report: EvalReport, fail_under: float | None, max_regression: float | None) -> str:
    mean = report.summary.mean
    if fail_under is not None and (mean is None or mean < fail_under):
        return "under_threshold"
    comparison = report.comparison
    if max_regression is not None and comparison and comparison.delta < -max_regression:
        return "regression"
    return "evaluated"


def _show(out: Out, report: EvalReport, *, rows: bool) -> None:
    from dse_cli.report.eval_text import eval_lines, row_lines

    for line in eval_lines(
        report.policy.label,
        report.summary,
        None if report.against is None else report.against.label,
        report.against_summary,
        report.comparison,
    ):
        out.text(line)
    if rows:
        for line in row_lines(report.cells):
            out.text(line)
    out.note(f"{report.summary.lm_calls} model calls charged, {report.paid_calls} paid")


def _document(report: EvalReport) -> dict[str, Any]:
    from dse_cli.report.eval_text import cell_json

    return {
        "policy": {"label": report.policy.label, "compiled_id": report.policy.ref.compiled_id},
        "summary": report.summary.model_dump(mode="json"),
        "against": None if report.against is None else report.against.ref.compiled_id,
        "comparison": None
        if report.comparison is None
        else report.comparison.model_dump(mode="json"),
        "cells": [cell_json(cell) for cell in report.cells],
        "paid_calls": report.paid_calls,
    }
