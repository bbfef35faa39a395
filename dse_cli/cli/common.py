"""What every command shares: option aliases, the two output streams, errors to exit codes."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

from dse_cli.contracts.errors import (
    DivergenceError,
    DseError,
    ExitCode,
    InterruptedRunError,
    SpecError,
)

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.config import Settings
    from dse_cli.project.project import Project
    from dse_cli.workflows.session import RunOptions

Name = Annotated[str, typer.Argument(help="Signature: folder, id, or a prefix of either.")]
ProjectOption = Annotated[
    Path | None, typer.Option("--project", metavar="DIR", help="Project root.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no notes.")]
NoCacheOption = Annotated[bool, typer.Option("--no-cache", help="Ask the model again.")]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option("--concurrency", "-c", min=1, max=1024, help="Cells in flight."),
]
AllowCodeOption = Annotated[
    bool,
    typer.Option("--allow-code", help="Run the project's Python metrics (metrics.py)."),
]
JobOption = Annotated[
    str | None,
    typer.Option("--job", metavar="VARIANT", help="Use compile.VARIANT.yaml."),
]


_HALF_PAIR: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Out:
    """Where a command writes: data to stdout, people's text to stderr.

    Attributes:
        as_json: one JSON document on stdout, nothing else there.
        quiet: no notes on stderr.
    """

    as_json: bool = False
    quiet: bool = False

    @property
    def color(self) -> bool:
        """Whether stderr is a terminal that wants colour."""
        return sys.stderr.isatty() and not os.environ.get("NO_COLOR")

    def text(self, line: str = "") -> None:
        """Print a line of the result; under ``--json`` nothing, the document says it."""
        if not self.as_json:
            say(line)

    def note(self, line: str) -> None:
        """Print a line about the work, for people, on stderr."""
        if not self.quiet:
            say(line, err=True)

    def document(self, outcome: str, data: dict[str, Any]) -> None:
        """Print the JSON document of the command."""
        if self.as_json:
            body = {"outcome": outcome, **data}
            text = json.dumps(body, ensure_ascii=False, indent=2, sort_keys=True)
            # GitHub Actions would obey "##[..." in a value; the escape is the same value.
            say(text.replace("##[", "\\u0023#["))


def say(line: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a line on stdout or stderr.

    When the reader has left (``dse ... | head``), the rest goes nowhere: that is not an error, and
    the command goes on to the exit code that is true. Half a surrogate pair, which no stream can
    write (a path may hold one), becomes its escape; inside JSON that is the same value.
    """
    written = _HALF_PAIR.sub(lambda found: f"\\u{ord(found.group()):04x}", line)
    try:
        typer.echo(written, err=err, nl=nl)
    except BrokenPipeError:
        stream = sys.stderr if err else sys.stdout
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def command(*, as_json: bool = False, quiet: bool = False) -> Iterator[Out]:
    """Run the body of a command; every error becomes a message and its exit code."""
    out = Out(as_json=as_json, quiet=quiet)
    try:
        yield out
    except DseError as error:
        _fail(out, error)
    except KeyboardInterrupt:
        _fail(out, InterruptedRunError("interrupted", hint="finished calls are kept: run it again"))
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - the process edge: a bug of ours, not a mistake
        _report_bug(out, error)


def _fail(out: Out, error: DseError) -> NoReturn:
    if isinstance(error, SpecError) or error.diagnostics:
        show_diagnostics(out, error.diagnostics)
    else:
        say(f"error: {error.message}", err=True)
        if isinstance(error, DivergenceError) and error.difference:
            say(error.difference, err=True)
        if error.hint:
            say(f"\nhint: {error.hint}", err=True)
    data: dict[str, Any] = {"message": error.message, "hint": error.hint}
    if error.diagnostics:
        from dse_cli.report.terminal_diagnostics import diagnostics_json

        data["diagnostics"] = diagnostics_json(error.diagnostics)
    if isinstance(error, DivergenceError):
        data |= {"path": error.path, "difference": error.difference}
    out.document(error.outcome, data)
    raise typer.Exit(error.exit_code)


def show_diagnostics(
    out: Out, diagnostics: Sequence[Diagnostic], *, root: Path | None = None
) -> None:
    """Print diagnostics on stderr, and as annotations where GitHub Actions reads them.

    Args:
        root: of the project, where it is known; annotations name files from that of the checkout.
    """
    from dse_cli.report.terminal_diagnostics import github_annotations, render_diagnostics

    say(render_diagnostics(diagnostics, color=out.color), err=True, nl=False)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from dse_cli.workflows.evals.eval_publish import checkout_prefix

        prefix = "" if root is None else checkout_prefix(root, os.environ)
        placed = [replace(found, file=prefix + found.file) for found in diagnostics]
        say(github_annotations(placed), err=True, nl=False)


def _report_bug(out: Out, error: Exception) -> NoReturn:
    import tempfile
    import traceback

    with tempfile.NamedTemporaryFile(
        "w",
        prefix="dse-traceback-",
        suffix=".txt",
        delete=False,
        encoding="utf-8",
        errors="backslashreplace",
    ) as file:
        traceback.print_exception(error, file=file)
    message = f"a bug in dse: {type(error).__name__}: {error}"
    hint = f"please report it with the traceback in {file.name}"
    say(f"error: {message}", err=True)
    say(f"\nhint: {hint}", err=True)
    out.document("bug", {"message": message, "hint": hint})
    raise typer.Exit(ExitCode.BUG)


def open_project(project: Path | None, *, allow_code: bool = False) -> Project:
    """Open the project of a command; without ``--allow-code`` the user's configuration decides."""
    from dse_cli.project.project import Project

    return Project.open(root=project, allow_code=allow_code or None)


def run_options(
    project: Project,
    *,
    no_cache: bool = False,
    concurrency: int | None = None,
    observer: Any = None,
) -> RunOptions:
    """Return how to run, from the command line over the settings in force."""
    from dse_cli.project.config import Overrides
    from dse_cli.workflows.session import RunOptions

    settings: Settings = project.settings(Overrides(concurrency=concurrency))
    return RunOptions(
        cache=None if no_cache else settings.cache_dir,
        concurrency=settings.concurrency,
        max_error_rate=settings.max_error_rate,
        observer=observer,
    )


def run_async(work: Callable[[], Any]) -> Any:
    """Run a coroutine function on a fresh event loop."""
    import asyncio

    return asyncio.run(work())
