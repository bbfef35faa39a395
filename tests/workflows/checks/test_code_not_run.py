"""A project with Python metrics is checked and verified where nobody allowed its code to run."""

from __future__ import annotations

import asyncio
from pathlib import Path

from dse_cli.contracts.errors import ExitCode
from dse_cli.project.project import Project
from dse_cli.workflows.checks.check import check_project, gravest
from dse_cli.workflows.compiles.compile import compile_signature
from dse_cli.workflows.replays.replay_all import Replayed, all_receipts, replay_receipts
from tests.workflows.desk import NAME, edit, options, real
from tests.workflows.rewards.test_metric_code import HARMFUL, load, project_with


def opened(project: Project, *, allow: bool) -> Project:
    return Project.open(root=project.root, allow_code=allow)


def replayed(project: Project) -> list[Replayed]:
    async def go() -> list[Replayed]:
        receipts = all_receipts(project)
        return [one async for one in replay_receipts(project, receipts, "strict", options(real()))]

    return asyncio.run(go())


def compiled(project: Project) -> None:
    asyncio.run(compile_signature(load(project), options(real())))


def test_a_check_reads_the_file_says_so_and_runs_nothing(tmp_path: Path) -> None:
    project = project_with(tmp_path, HARMFUL)
    (finding,) = check_project(opened(project, allow=False))
    assert (finding.code, finding.severity) == ("code-not-run", "warning")
    assert finding.file == f"signatures/{NAME}/metrics.py"
    assert not (project.paths.signature(NAME) / "ran").exists()
    assert check_project(opened(project, allow=True)) == []


def test_a_function_that_is_not_there_is_found_without_running(tmp_path: Path) -> None:
    project = project_with(tmp_path, "def polit(output, expected, input):\n    return 1\n")
    findings = check_project(opened(project, allow=False))
    assert gravest(findings) is ExitCode.USAGE
    assert "did you mean 'polit'?" in (findings[0].hint or "")


def test_a_file_that_is_not_python_is_found_at_its_line(tmp_path: Path) -> None:
    project = project_with(tmp_path, "x = 1\ndef polite(:\n")
    (finding, *_) = check_project(opened(project, allow=False))
    assert (finding.file, finding.line) == (f"signatures/{NAME}/metrics.py", 2)


def test_a_run_is_verified_and_said_to_be_only_that(tmp_path: Path) -> None:
    project = project_with(tmp_path)
    compiled(project)
    (result,) = replayed(opened(project, allow=False))
    assert (result.outcome, result.code) == ("verified", ExitCode.DONE)
    assert "--allow-code" in (result.note or "")
    (result,) = replayed(opened(project, allow=True))
    assert result.outcome == "replayed"


def test_an_edited_metric_is_still_seen(tmp_path: Path) -> None:
    project = project_with(tmp_path)
    compiled(project)
    edit(project, f"signatures/{NAME}/metrics.py", "def polite", "# stricter\ndef polite")
    (result,) = replayed(opened(project, allow=True))
    assert result.error is None
    assert (result.note or "").startswith("stale, verified only")
