"""``dse eval``."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

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
    say,
)
from dse_cli.cli.eval_options import (
    AgainstOption,
    FailedOption,
    FailUnderOption,
    IdOption,
    JunitOption,
    LimitOption,
    MarkdownOption,
    MaxErrorRateOption,
    MaxRegressionOption,
    ModelsOption,
    PolicyOption,
    RepeatOption,
    RowsOption,
    SampleOption,
    SeedOption,
    SplitOption,
    TagOption,
)
from dse_cli.contracts.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dse_cli.project.project import Project
    from dse_cli.report.eval_report import EvalReport, EvalVerdict
    from dse_cli.workflows.evals.evaluate import EvalRequest
    from dse_cli.workflows.inputs import JobInputs


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("eval")(eval_command)


@dataclass(frozen=True)
class _Work:
    """What the command line says besides what to measure."""

    name: str
    job: str | None
    concurrency: int | None
    no_cache: bool
    max_error_rate: float | None


def eval_command(
    name: Name,
    policy: PolicyOption = "active",
    against: AgainstOption = None,
    model: ModelsOption = None,
    split: SplitOption = "val",
    tag: TagOption = None,
    id_: IdOption = None,
    failed: FailedOption = False,
    sample: SampleOption = None,
    seed: SeedOption = None,
    limit: LimitOption = None,
    repeat: RepeatOption = 1,
    fail_under: FailUnderOption = None,
    max_regression: MaxRegressionOption = None,
    max_error_rate: MaxErrorRateOption = None,
    rows: RowsOption = False,
    junit: JunitOption = None,
    markdown: MarkdownOption = None,
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
        from dse_cli.workflows.evals.eval_publish import Outputs, file_findings, publish
        from dse_cli.workflows.evals.eval_rows import Selection
        from dse_cli.workflows.evals.eval_verdict import Thresholds, eval_verdict
        from dse_cli.workflows.evals.evaluate import EvalRequest

        outputs = Outputs(junit, markdown)
        outputs.check(os.environ)
        thresholds = Thresholds(
            fail_under, max_regression, 1.0 if max_error_rate is None else max_error_rate
        )
        selection = Selection(
            split="train" if split == "train" else "val",
            tags=tuple(tag or ()),
            ids=tuple(id_ or ()),
            sample=sample,
            limit=limit,
            failed=failed,
        )
        request = EvalRequest(policy, against, tuple(model or ()), selection, repeat, seed)
        work = _Work(name, job, concurrency, no_cache, max_error_rate)
        opened = open_project(project, allow_code=allow_code)
        inputs, report, allowed = _evaluate(out, opened, request, work)
        verdict = eval_verdict(report, replace(thresholds, max_error_rate=allowed))
        publish(report, verdict, outputs, os.environ)
        _show(out, report, verdict, rows=rows)
        if found := file_findings(inputs, report, verdict, os.environ):
            from dse_cli.report.terminal_diagnostics import github_annotations

            say(github_annotations(found), err=True, nl=False)
        if verdict.exit_code != ExitCode.DONE:
            raise typer.Exit(verdict.exit_code)


def _evaluate(
    out: Out, opened: Project, request: EvalRequest, work: _Work
) -> tuple[JobInputs, EvalReport, float]:
    """Measure; the last of the three is the share of outages that is allowed."""
    from dse_cli.cli.progress import WeightsProgress, showing, watcher
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.workflows.evals.evaluate import plan_eval, run_eval
    from dse_cli.workflows.inputs import load_inputs

    with showing(out) as bar:
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(bar))
        inputs = load_inputs(opened, work.name, variant=work.job, catalog=catalog)
        plan = plan_eval(inputs, request)
        options = run_options(
            opened,
            no_cache=work.no_cache,
            concurrency=work.concurrency,
            observer=watcher(out, bar, plan.cells),
        )
        if work.max_error_rate is not None:
            options = replace(options, max_error_rate=work.max_error_rate)
        report: EvalReport = run_async(lambda: run_eval(inputs, plan, options))
    return inputs, report, options.max_error_rate


def _show(out: Out, report: EvalReport, verdict: EvalVerdict, *, rows: bool) -> None:
    if not out.as_json:
        from dse_cli.report.eval_text import eval_lines

        for line in eval_lines(report, every_row=rows):
            out.text(line)
    out.note(_spent(report))
    for message in verdict.messages:
        say(f"\n{message}", err=True)
    if out.as_json:
        from dse_cli.report.eval_json import eval_document

        out.document(verdict.outcome, eval_document(report, verdict) | _message(verdict))


def _message(verdict: EvalVerdict) -> dict[str, Any]:
    """Return the sentence that stands in every document that is not a success."""
    return {"message": "; ".join(map(str, verdict.messages))} if verdict.messages else {}


def _spent(report: EvalReport) -> str:
    from dse_cli.report.plain import counted, dollars

    charged, paid = report.charged, report.paid
    line = f"{counted(charged.calls, 'model call')} charged, {paid.calls:,} paid"
    if charged.unknown_cost:
        return f"{line}; the price of {charged.unknown_cost} is not known"
    return f"{line}; {dollars(charged.cost_nano_usd)} charged, {dollars(paid.cost_nano_usd)} paid"
