"""``dse models``: the embedded models."""

from __future__ import annotations

from typing import Annotated

import typer

from dse_cli.cli.common import JsonOption, QuietOption, command

app = typer.Typer(help="The embedded models and their weights.", no_args_is_help=True)

Alias = Annotated[str, typer.Argument(help="local or local-plus.")]


@app.command("pull")
def pull_command(
    alias: Alias = "local", as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Fetch the weights of an embedded model, by their hash; resumable."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.cli.progress import WeightsProgress, showing
        from dse_cli.lm.embedded import NoProgress, pull

        with showing(out) as bar:
            path = pull(alias, NoProgress() if quiet else WeightsProgress(bar))
        out.text(f"{alias}: {path}")
        out.document("pulled", {"alias": alias, "path": str(path)})


@app.command("list")
def list_command(as_json: JsonOption = False, quiet: QuietOption = False) -> None:
    """List the embedded models and what is on this machine."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.lm.embedded import EMBEDDED, status

        rows = []
        for alias in sorted(EMBEDDED):
            found = status(alias)
            model = found.model
            out.text(
                f"{alias:<11} {model.name:<40} {model.size / 1e6:>6.0f} MB  {model.licence:<11} "
                f"{found.state}"
            )
            rows.append(
                {
                    "alias": alias,
                    "name": model.name,
                    "sha256": model.sha256,
                    "size": model.size,
                    "licence": model.licence,
                    "state": found.state,
                    "path": str(found.path),
                }
            )
        out.document("listed", {"models": rows})


@app.command("verify")
def verify_command(
    alias: Alias = "local", as_json: JsonOption = False, quiet: QuietOption = False
) -> None:
    """Hash the weights again; other bytes are refused and removed."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.cli.progress import WeightsProgress, showing
        from dse_cli.lm.embedded import NoProgress, verify

        with showing(out) as bar:
            found = verify(alias, NoProgress() if quiet else WeightsProgress(bar))
        out.text(f"{alias}: {found.state}, sha256 {found.model.sha256}")
        out.document(found.state, {"alias": alias, "sha256": found.model.sha256})
