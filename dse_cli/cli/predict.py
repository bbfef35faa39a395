"""``dse predict``."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dse_cli.cli.common import (
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
from dse_cli.contracts.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from dse_cli.workflows.serving.predict import Served, ServedPolicy


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict")(predict_command)


def predict_command(
    name: Name,
    fields: Annotated[
        list[str] | None,
        typer.Argument(metavar="FIELD=VALUE...", help="The input; or JSON with --input."),
    ] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="The input as JSON; '-' reads stdin."),
    ] = None,
    policy: Annotated[
        str, typer.Option(metavar="ID", help="active, default, or an artifact.")
    ] = "active",
    key: Annotated[
        str | None,
        typer.Option("--key", metavar="K", help="What the request belongs to; one policy a key."),
    ] = None,
    no_cache: NoCacheOption = False,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Predict one input through the active policy, and keep a receipt."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.cli.progress import WeightsProgress
        from dse_cli.lm.catalog import ModelCatalog
        from dse_cli.workflows.serving.predict import (
            ServedPolicy,
            example_command,
            parse_inputs,
        )

        opened = open_project(project)
        options = run_options(opened, no_cache=no_cache)
        catalog = ModelCatalog(opened.spec, progress=WeightsProgress(None))
        served = ServedPolicy(
            opened,
            name,
            options,
            word=policy,
            catalog=catalog,
            warn=lambda message: out.note(f"warning: {message}"),
        )
        if (input_ is None) == (not fields):
            both = "not both" if fields else "there is none"
            raise UsageError(
                "give the input as FIELD=VALUE arguments, with --input JSON, or as JSON on "
                f"standard input with --input -; {both}",
                hint=f"for example: {example_command(name, served.policy)}",
            )
        document = sys.stdin.read() if input_ == "-" else input_
        value = parse_inputs(fields or [], document, served.policy)
        _show(out, run_async(lambda: _predict(served, value, key)))


async def _predict(served: ServedPolicy, value: dict[str, Any], key: str | None) -> Served:
    try:
        return await served.serve(value, key=key)
    finally:
        await served.aclose()


def _show(out: Out, served: Served) -> None:
    prediction, error = served.prediction, served.prediction.error
    body = {
        "compiled_id": served.route.named.policy.id,
        "channel": served.route.channel,
        "output": prediction.output,
        "error": None if error is None else error.to_json(),
        "lm_calls": prediction.usage.lm_calls,
        "repairs": prediction.usage.repairs,
        "tokens": prediction.usage.total_tokens,
        "model": prediction.served_model,
    }
    if error is None:
        out.text(json.dumps(prediction.output, ensure_ascii=False))
        out.document("predicted", body)
        return
    say(f"error: {error.kind}: {error.message}", err=True)
    out.document(error.kind, body)
    is_ours = error.kind == "decode"
    raise typer.Exit(ExitCode.QUALITY if is_ours else ExitCode.INFRASTRUCTURE)
