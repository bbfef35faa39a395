"""``dse promote``."""

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
    from dse_cli.workflows.promote import GatePlan, Promotion


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("promote")(promote_command)


def promote_command(
    name: Name,
    artifact: Annotated[
        str | None,
        typer.Argument(help="Artifact: file name, id prefix or run prefix."),
    ] = None,
    latest: Annotated[
        bool, typer.Option("--latest", help="What the last compile here wrote.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Price the look at the holdout; do not look.")
    ] = False,
    job: JobOption = None,
    concurrency: ConcurrencyOption = None,
    no_cache: NoCacheOption = False,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Measure candidate and active policy on the holdout; move the pointer if the gate passes."""
    with command(as_json=as_json, quiet=quiet) as out:
        if (artifact is None) == (not latest):
            raise UsageError(
                "name one artifact, or say --latest", hint=f"'dse list {name}' shows them"
            )
        run = {"no_cache": no_cache, "concurrency": concurrency}
        _promote(
            out,
            open_project(project, allow_code=allow_code),
            name,
            artifact,
            job,
            dry_run=dry_run,
            run=run,
        )


def _promote(
    out: Out,
    opened: Any,
    name: str,
    artifact: str | None,
    job: str | None,
    *,
    dry_run: bool,
    run: dict[str, Any],
) -> None:
    from dse_cli.cli.progress import WeightsProgress, showing, watcher
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.workflows.inputs import load_inputs
    from dse_cli.workflows.latest import latest_artifact
    from dse_cli.workflows.promote import is_active, plan_promotion, promote_policy

    with showing(out) as bar:
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(bar))
        inputs = load_inputs(opened, name, variant=job, catalog=catalog)
        word = artifact or latest_artifact(opened, inputs.store)
        if is_active(inputs, word):
            out.text(f"{inputs.name}: {word} is the active policy already; nothing to measure")
            out.document("already_active", {"signature": inputs.name})
            return
        plan = plan_promotion(inputs, word)
        if dry_run:
            _show_plan(out, plan)
            return
        options = run_options(
            opened, observer=watcher(out, bar, plan.metric_calls, show_scores=False), **run
        )
        result: Promotion = run_async(lambda: promote_policy(inputs, word, options))
    _show(out, inputs.name, result)
    if not result.moved:
        raise typer.Exit(ExitCode.QUALITY)


def _show_plan(out: Out, plan: GatePlan) -> None:
    out.text(f"candidate     {plan.candidate.label}")
    out.text(f"baseline      {plan.baseline.label}")
    out.text(f"metric calls  {plan.metric_calls} ({plan.rows} holdout rows, both policies)")
    out.text(f"look          {plan.look}, tested at {plan.level:.4g}")
    out.document(
        "planned",
        {
            "candidate": plan.candidate.ref.compiled_id,
            "baseline": plan.baseline.ref.compiled_id,
            "rows": plan.rows,
            "metric_calls": plan.metric_calls,
            "look": plan.look,
            "level": plan.level,
        },
    )


def _show(out: Out, name: str, result: Promotion) -> None:
    evidence = result.evidence
    out.text(evidence.line)
    out.text(
        f"{evidence.verdict}: {result.candidate.label} against {result.baseline.label}, "
        f"look {evidence.look} at this holdout, level {evidence.level:.4g}"
    )
    outages = sum(
        1
        for summary in (evidence.candidate, evidence.baseline)
        for reward in summary.rows.values()
        if reward is None
    )
    if outages:
        out.text(f"{outages} cells have no answer and are not in these numbers")
    out.text(
        f"active is now {result.candidate.label}" if result.moved else "the pointer did not move"
    )
    if result.moved:
        out.note(f"\nreview: git diff artifacts/{name}/active.yaml")
    out.document(
        evidence.verdict,
        {
            "moved": result.moved,
            "evidence": evidence.model_dump(mode="json"),
            "sequence": result.record.sequence,
            "paid_calls": result.paid_calls,
        },
    )
