"""``dse compile``."""

from __future__ import annotations

import shlex
from pathlib import Path
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

if TYPE_CHECKING:
    from dse_cli.cli.progress import Race
    from dse_cli.workflows.compiles.compile import CompileResult
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.plans.plan import Plan


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compile")(compile_command)


def compile_command(
    name: Name,
    job: JobOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Price it, spend nothing.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run of the same inputs.")
    ] = False,
    optimizer: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Overrides the job's optimizer, with default settings."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the job's seed.")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="ALIAS", help="Overrides the job's main model."),
    ] = None,
    max_metric_calls: Annotated[int | None, typer.Option(min=1)] = None,
    max_lm_calls: Annotated[int | None, typer.Option(min=1)] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1)] = None,
    max_cost_usd: Annotated[float | None, typer.Option(min=0.0)] = None,
    max_time_s: Annotated[float | None, typer.Option(min=0.001)] = None,
    concurrency: ConcurrencyOption = None,
    no_cache: NoCacheOption = False,
    allow_code: AllowCodeOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Search for the params that score best on val; write artifact, receipt and transcript."""
    with command(as_json=as_json, quiet=quiet) as out:
        budget = {
            "max_metric_calls": max_metric_calls,
            "max_lm_calls": max_lm_calls,
            "max_tokens": max_tokens,
            "max_cost_usd": max_cost_usd,
            "max_time_s": max_time_s,
        }
        _compile(
            out,
            name,
            job,
            dry_run=dry_run,
            resume=resume,
            overrides=_overrides(optimizer, seed, model, budget),
            run={"no_cache": no_cache, "concurrency": concurrency},
            project=project,
            allow_code=allow_code,
        )


def _overrides(
    optimizer: str | None, seed: int | None, model: str | None, budget: dict[str, float | None]
) -> dict[str, Any]:
    given = {key: value for key, value in budget.items() if value is not None}
    overrides: dict[str, Any] = {}
    if optimizer is not None:
        overrides["optimizer"] = {"id": optimizer}
    if seed is not None:
        overrides["seed"] = seed
    if model is not None:
        overrides["models"] = {"main": model}
    if given:
        overrides["budget"] = given
    return overrides


def _compile(
    out: Out,
    name: str,
    job: str | None,
    *,
    dry_run: bool,
    resume: bool,
    overrides: dict[str, Any],
    run: dict[str, Any],
    project: Path | None,
    allow_code: bool,
) -> None:
    from dse_cli.cli.progress import WeightsProgress, showing, watcher
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.workflows.compiles.compile import compile_signature
    from dse_cli.workflows.inputs import load_inputs
    from dse_cli.workflows.plans.plan import plan_compile

    opened = open_project(project, allow_code=allow_code)
    with showing(out) as bar:
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(bar))
        inputs = load_inputs(opened, name, variant=job, overrides=overrides, catalog=catalog)
        if inputs.left_out:
            of = f"{inputs.job.optimizer.id} has no use for: {', '.join(inputs.left_out)}"
            out.note(f"{of} (left out of this run)\n")
        plan = run_async(lambda: plan_compile(inputs, run_options(opened, **run)))
        if dry_run:
            _show_plan(out, plan)
            return
        _note_plan(out, plan)
        observer = watcher(out, bar, plan.metric_calls, race=_race(inputs, plan))
        options = run_options(opened, observer=observer, **run)
        try:
            result = run_async(lambda: compile_signature(inputs, options, resume=resume))
        except KeyboardInterrupt:
            from dse_cli.contracts.errors import InterruptedRunError

            raise InterruptedRunError(
                "interrupted; every finished call is kept",
                hint=_resume_command(name, job, overrides, run, project, allow_code=allow_code),
            ) from None
    _show_result(out, inputs.name, result, plan, is_judge=inputs.signature.spec.kind == "judge")


def _resume_command(
    name: str,
    job: str | None,
    overrides: dict[str, Any],
    run: dict[str, Any],
    project: Path | None,
    *,
    allow_code: bool,
) -> str:
    """Return the command that goes on: the same options, or it would be another run."""
    options = {
        "job": job,
        "optimizer": overrides.get("optimizer", {}).get("id"),
        "seed": overrides.get("seed"),
        "model": overrides.get("models", {}).get("main"),
        **overrides.get("budget", {}),
        "concurrency": run["concurrency"],
        "project": project,
    }
    words = ["dse", "compile", name]
    for option, value in options.items():
        if value is not None:
            words += [f"--{option.replace('_', '-')}", str(value)]
    if run["no_cache"]:
        words.append("--no-cache")
    if allow_code:
        words.append("--allow-code")
    return shlex.join([*words, "--resume"])


def _show_plan(out: Out, plan: Plan) -> None:
    from dse_cli.workflows.plans.plan_text import plan_lines

    for line in plan_lines(plan):
        out.text(line)
    out.document("planned", plan.to_json())


def _note_plan(out: Out, plan: Plan) -> None:
    """Say what it may cost before it starts; a run that cannot start says so by its error."""
    from dse_cli.workflows.plans.plan_text import plan_lines

    if plan.covers_floor:
        for line in plan_lines(plan):
            out.note(line)
        out.note("")


def _race(inputs: JobInputs, plan: Plan) -> Race:
    """Return what progress holds a search against."""
    from dse_cli.cli.progress import Race

    evaluations = plan.candidates if plan.expected is None else plan.expected.evaluations
    return Race(plan.selecting, evaluations, inputs.job.budget)


def _show_result(
    out: Out, name: str, result: CompileResult, plan: Plan | None = None, *, is_judge: bool
) -> None:
    from dse_cli.report.search_lines import outcomes

    artifact = result.outputs.artifact
    receipt = result.outputs.receipt.predicate.result
    base, best = artifact.baseline.mean or 0.0, artifact.evaluation.mean or 0.0
    n = artifact.evaluation.n
    is_alone = len(receipt.candidates) == 1 and receipt.stop_reason.kind == "complete"
    if is_alone and not receipt.proposals:
        out.text(f"{name}: {100 * best:.1f} on val (n = {n})")
        out.text("nothing was searched: this is the policy as written")
    else:
        out.text(
            f"{name}: {100 * base:.1f} -> {100 * best:.1f} on val "
            f"(n = {n}, selected here: not evidence of a gain)"
        )
        if not receipt.improved:
            out.text("nothing beat the base; it is the winner")
    out.text(f"stopped: {artifact.optimizer.stop_reason.kind}, seconds: {result.seconds:.1f}")
    out.text(f"model calls: {receipt.charged['lm_calls']} charged, {result.paid_calls} paid")
    if receipt.proposals:
        out.text(f"proposals: {outcomes(receipt.proposals)}")
    out.text(f"artifact  artifacts/{name}/{result.artifact_name}")
    out.text(f"receipt   artifacts/{name}/{result.folder}")
    if is_judge:
        stem = Path(result.artifact_name).stem
        out.note(f"\nnext: pin it in the reward of a job, with 'artifact: {stem}'")
    elif receipt.improved:
        out.note(f"\nnext: dse promote {name} --latest")
    out.document(
        "compiled" if receipt.improved else "baseline_won",
        {
            "signature": name,
            "compiled_id": artifact.compiled_id,
            "run": artifact.provenance.run,
            "artifact": f"artifacts/{name}/{result.artifact_name}",
            "receipt": f"artifacts/{name}/{result.folder}",
            "baseline": artifact.baseline.mean,
            "mean": artifact.evaluation.mean,
            "n": artifact.evaluation.n,
            "stop_reason": artifact.optimizer.stop_reason.to_json(),
            "charged": receipt.charged,
            "paid_calls": result.paid_calls,
            "resumed_calls": result.resumed_calls,
            **({} if plan is None else {"plan": plan.to_json()}),
        },
    )
