"""Where an evaluation goes besides the terminal: JUnit, Markdown, the summary of a CI job."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import InfrastructureError, UsageError
from dse_cli.registry.atomic import write_atomic

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.report.eval_report import EvalReport, EvalVerdict
    from dse_cli.workflows.inputs import JobInputs

#: GitHub Actions sets this to the file that a job's summary is appended to.
STEP_SUMMARY: Final = "GITHUB_STEP_SUMMARY"
_ACTIONS: Final = "GITHUB_ACTIONS"
_WORKSPACE: Final = "GITHUB_WORKSPACE"


@dataclass(frozen=True)
class Outputs:
    """Files to write.

    Attributes:
        junit, markdown: paths as typed; None writes none.
    """

    junit: Path | None = None
    markdown: Path | None = None

    def check(self, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        """Refuse what cannot be written, before anything is spent.

        Args:
            environ: may name the summary of a CI job.

        Raises:
            UsageError: a path is a folder or a device, both are the same file, or the system would
                not let it be written.
        """
        summary = environ.get(STEP_SUMMARY)
        if summary and (Path(summary).is_dir() or not Path(summary).parent.is_dir()):
            raise UsageError(f"{STEP_SUMMARY} names {summary!r}, which is no place for a file")
        written = [path for path in (self.junit, self.markdown) if path is not None]
        for path in written:
            if path.is_dir():
                raise UsageError(f"{str(path)!r} is a folder; name a file")
            # The file is put in place by a rename, which would put it in place of the device.
            if path.exists() and not path.is_file():
                raise UsageError(f"{str(path)!r} is not a regular file; name a file")
            if not _is_writable(path):
                raise UsageError(f"{str(path)!r} cannot be written: no permission, or no folder")
        if len({path.resolve() for path in written}) < len(written):
            raise UsageError("--junit and --markdown name the same file")


def _is_writable(path: Path) -> bool:
    """Tell whether a file can be put there; folders are made as needed."""
    folder = path.resolve().parent
    while not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def publish(
    report: EvalReport, verdict: EvalVerdict, outputs: Outputs, environ: Mapping[str, str]
) -> None:
    """Write the files that were asked for, and append to the summary of a CI job.

    Raises:
        InfrastructureError: the system refuses to write.
    """
    if outputs.junit is not None:
        from dse_cli.report.junit import junit_xml

        write_atomic(outputs.junit.resolve(), junit_xml(report, verdict))
    summary = environ.get(STEP_SUMMARY)
    if outputs.markdown is None and not summary:
        return
    from dse_cli.report.eval_markdown import eval_markdown

    text = eval_markdown(report, verdict)
    if outputs.markdown is not None:
        write_atomic(outputs.markdown.resolve(), text.encode())
    if summary:
        _append(Path(summary), text)


def file_findings(
    inputs: JobInputs, report: EvalReport, verdict: EvalVerdict, environ: Mapping[str, str]
) -> list[Diagnostic]:
    """Return findings about files of the project; nothing outside GitHub Actions.

    Files are named from the root of the checkout, where that is known and holds the project.
    """
    if environ.get(_ACTIONS) != "true":
        return []
    from dse_cli.report.eval_annotations import eval_annotations

    document = inputs.job_document
    line, _ = document.position(("reward",), key=True)
    found = eval_annotations(report, verdict, job_file=document.name, job_line=line)
    prefix = checkout_prefix(inputs.project.root, environ)
    return [replace(finding, file=prefix + finding.file) for finding in found]


def checkout_prefix(root: Path, environ: Mapping[str, str]) -> str:
    """Return what stands before the project's paths in the checkout of a CI job, often nothing."""
    workspace = environ.get(_WORKSPACE)
    if not workspace:
        return ""
    checkout = Path(workspace).resolve()
    if root == checkout or not root.is_relative_to(checkout):
        return ""
    return f"{root.relative_to(checkout).as_posix()}/"


def _append(path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
    except OSError as error:
        reason = error.strerror or str(error)
        raise InfrastructureError(
            f"the file that {STEP_SUMMARY} names cannot be written: {reason}"
        ) from error
