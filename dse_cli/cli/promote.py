"""``dse promote``: through the gate to a channel, from the canary, or to resolve two branches."""

from __future__ import annotations

from functools import partial
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
from dse_cli.cli.promote_options import (
    ChannelName,
    ChannelOption,
    ErrorsOption,
    FromOption,
    NonInferiorityOption,
    OverrideOption,
    PercentOption,
    PromoteOptions,
    ResolveOption,
    SaltOption,
    SamplesOption,
)
from dse_cli.contracts.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.session import RunOptions

    Run = Callable[[int], RunOptions]


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
    channel: ChannelOption = ChannelName.ACTIVE,
    percent: PercentOption = None,
    salt: SaltOption = None,
    min_samples: SamplesOption = None,
    max_error_rate: ErrorsOption = None,
    from_: FromOption = None,
    resolve: ResolveOption = False,
    override: OverrideOption = None,
    non_inferiority: NonInferiorityOption = False,
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
        options = PromoteOptions(
            name=name,
            artifact=artifact,
            latest=latest,
            dry_run=dry_run,
            channel=channel,
            percent=percent,
            salt=salt,
            min_samples=min_samples,
            max_error_rate=max_error_rate,
            from_canary=from_ is not None,
            resolve=resolve,
            override=override,
            non_inferiority=non_inferiority,
        )
        run = {"no_cache": no_cache, "concurrency": concurrency}
        _promote(out, open_project(project, allow_code=allow_code), options, job, run)


def _promote(
    out: Out, opened: Any, options: PromoteOptions, job: str | None, run: dict[str, Any]
) -> None:
    from dse_cli.cli.progress import WeightsProgress, showing, watcher
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.workflows.inputs import load_inputs

    options.terms()  # a wrong override is refused before anything is read
    with showing(out) as bar:
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(bar))
        inputs = load_inputs(opened, options.name, variant=job, catalog=catalog, any_holdout=True)

        def how(metric_calls: int) -> RunOptions:
            observer = watcher(out, bar, metric_calls, show_scores=False)
            return run_options(opened, observer=observer, **run)

        artifact = partial(_artifact, note=out.note)
        work = _from_canary if options.from_canary else _resolve if options.resolve else artifact
        show = work(inputs, options, how)
    # After the progress bar is gone.
    if not show(out):
        raise typer.Exit(ExitCode.QUALITY)


def _from_canary(inputs: JobInputs, _: PromoteOptions, __: Run) -> Callable[[Out], bool]:
    from dse_cli.cli.promote_show import show_canary_promotion
    from dse_cli.workflows.promotion.canary_promotion import promote_canary

    result = promote_canary(inputs)
    return lambda out: show_canary_promotion(out, inputs.name, result)


def _resolve(inputs: JobInputs, options: PromoteOptions, how: Run) -> Callable[[Out], bool]:
    from dse_cli.cli.promote_show import show_resolution
    from dse_cli.workflows.promotion.resolve import resolve_signature

    result = run_async(lambda: resolve_signature(inputs, how(0), options.terms()))
    return lambda out: show_resolution(out, inputs.name, result)


def _artifact(
    inputs: JobInputs, options: PromoteOptions, how: Run, *, note: Callable[[str], None]
) -> Callable[[Out], bool]:
    from dse_cli.cli.promote_show import show_active_already, show_plan, show_promotion
    from dse_cli.workflows.compiles.latest import latest_artifact
    from dse_cli.workflows.promotion.canary import plan_canary, start_canary_policy
    from dse_cli.workflows.promotion.promote import (
        is_active,
        look_notes,
        plan_promotion,
        promote_policy,
        refresh_policy,
    )

    word = options.artifact or latest_artifact(inputs.project, inputs.store)
    terms = options.terms()
    if options.channel is ChannelName.ACTIVE and is_active(inputs, word):
        record = None if options.dry_run else refresh_policy(inputs, word)
        return lambda out: show_active_already(out, inputs.name, word, record)
    if options.dry_run:
        if options.channel is ChannelName.CANARY:
            plan = plan_canary(inputs, word, options.plan(), terms.mode)
        else:
            plan = plan_promotion(inputs, word, terms.mode)
        return lambda out: show_plan(out, plan)
    notes = look_notes(inputs, word)
    for line in notes:
        note(f"note: {line}")
    if options.channel is ChannelName.CANARY:
        canary = options.plan()
        promotion = run_async(
            lambda: start_canary_policy(inputs, word, canary, how(_cells(inputs)), terms)
        )
    else:
        promotion = run_async(lambda: promote_policy(inputs, word, how(_cells(inputs)), terms))
    return lambda out: show_promotion(out, inputs.name, promotion, notes)


def _cells(inputs: JobInputs) -> int:
    """Return how many cells a gate fills, for the progress bar."""
    return 2 * len(inputs.dataset.split("holdout")) * inputs.project.spec.gate.rollouts
