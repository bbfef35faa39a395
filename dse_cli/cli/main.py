"""The ``dse`` command: registers one function per command and turns errors into exit codes."""

from __future__ import annotations

import sys
from typing import NoReturn

import typer

from dse_cli import __version__
from dse_cli.cli import (
    cache,
    check,
    compile_,
    config,
    diff,
    eval_,
    export,
    init,
    list_,
    models,
    predict,
    promote,
    replay,
    rollback,
    schema,
    show,
)
from dse_cli.cli.common import Out
from dse_cli.contracts.errors import ExitCode

app = typer.Typer(
    name="dse",
    help="The compiler for prompts: search, measure, promote through a gate, replay offline.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    init,
    check,
    compile_,
    eval_,
    promote,
    rollback,
    replay,
    predict,
    diff,
    show,
    list_,
    export,
    schema,
    config,
):
    module.register(app)
app.add_typer(models.app, name="models")
app.add_typer(cache.app, name="cache")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """The compiler for prompts: search, measure, promote through a gate, replay offline."""


def main() -> None:
    """Run the command line."""
    if "--json" not in sys.argv[1:]:
        app()
        return
    try:
        code = app(standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - the process edge; ours is raised again
        _show_as_document(error)
    sys.exit(code)


def _show_as_document(error: Exception) -> NoReturn:
    """Say on stdout, too, why the command line cannot be read: it asks for one JSON document.

    Known by its methods: Typer brings a Click of its own in some releases, and the class with it.
    """
    said, show = getattr(error, "format_message", None), getattr(error, "show", None)
    if said is None or show is None:
        raise error
    show()
    context = getattr(error, "ctx", None)
    path = "dse" if context is None else context.command_path
    Out(as_json=True).document("usage", {"message": said(), "hint": f"see '{path} --help'"})
    sys.exit(ExitCode.USAGE)
