"""``dse replay --all``: all receipts are tried, and the gravest result decides."""

from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import ExitCode, NothingSelectedError
from dse_cli.project.project import Project
from dse_cli.workflows.promotion.promote import promote_policy
from dse_cli.workflows.replays.replay_all import (
    AllMode,
    Replayed,
    all_receipts,
    gravest_code,
    replay_receipts,
)
from dse_cli.workflows.session import RunOptions
from tests.workflows.desk import NAME, compile_it, edit, inputs_of, options, real

COMPILE = f"signatures/{NAME}/compile.yaml"


def replay_all(project: Project, mode: AllMode = "strict") -> list[Replayed]:
    opened = Project.open(root=project.root)

    async def go() -> list[Replayed]:
        receipts = all_receipts(opened)
        return [one async for one in replay_receipts(opened, receipts, mode, RunOptions())]

    return asyncio.run(go())


def promote(project: Project, name: str) -> bool:
    word = name.removeprefix("compiled/").removesuffix(".json")
    return asyncio.run(promote_policy(inputs_of(project), word, options(real()))).moved


@pytest.fixture
def two_runs(project: Project) -> Project:
    """Two compiles of two jobs; the tree holds the second job."""
    first = compile_it(project, real())
    edit(project, COMPILE, "CHOOSE A QUEUE.", "CHOOSE ONE.")
    compile_it(project, real())
    assert first.artifact_name
    return project


def test_a_project_without_receipts_has_nothing_to_replay(project: Project) -> None:
    assert replay_all(project) == []
    assert gravest_code([]) is ExitCode.DONE
    with pytest.raises(NothingSelectedError, match="no receipt"):
        all_receipts(project, NAME)


def test_an_old_run_is_verified_and_said_to_be_stale(two_runs: Project) -> None:
    results = replay_all(two_runs)
    runs = [one.receipt.run for one in results]
    assert runs == sorted(runs)
    assert sorted(one.outcome for one in results) == ["replayed", "verified"]
    (old,) = [one for one in results if one.outcome == "verified"]
    assert old.note is not None
    assert old.note.startswith("stale, verified only")
    assert "job changed" in old.note
    assert gravest_code(results) is ExitCode.DONE


def test_a_stale_run_behind_the_active_pointer_is_an_error(project: Project) -> None:
    assert promote(project, compile_it(project, real()).artifact_name)
    assert [one.outcome for one in replay_all(project)] == ["replayed"]
    edit(project, COMPILE, "CHOOSE A QUEUE.", "CHOOSE ONE.")
    (result,) = replay_all(project)
    assert (result.receipt.serves, result.outcome, result.report) == (True, "stale", None)
    assert gravest_code([result]) is ExitCode.INTEGRITY


def test_a_run_whose_job_is_gone_is_old(two_runs: Project) -> None:
    (two_runs.root / COMPILE).unlink()
    assert [one.outcome for one in replay_all(two_runs)] == ["verified", "verified"]


def test_all_are_tried_and_the_gravest_decides(two_runs: Project) -> None:
    first, second = all_receipts(two_runs)
    folder = two_runs.root / "artifacts" / NAME / "receipts" / first.run
    calls = folder / "calls.jsonl"
    calls.write_bytes(calls.read_bytes() + b"\n")
    for mode in ("strict", "verify"):
        results = replay_all(two_runs, mode)
        assert [one.receipt.run for one in results] == [first.run, second.run]
        assert results[0].outcome == "altered"
        assert results[1].error is None
        assert gravest_code(results) is ExitCode.INTEGRITY


def test_a_run_of_another_version_is_verified_unless_it_serves(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = compile_it(project, real()).artifact_name
    for module in ("inputs", "compiles.compile_outputs", "replays.replay_all"):
        monkeypatch.setattr(f"dse_cli.workflows.{module}.__version__", "99.0.0")
    (result,) = replay_all(project)
    assert result.outcome == "verified"
    assert result.note is not None
    assert result.note.startswith("made by dse ")
    assert promote(project, name)
    (result,) = replay_all(project)
    assert (result.outcome, result.code) == ("altered", ExitCode.INTEGRITY)


def test_a_policy_that_was_measured_again_may_rest_on_an_old_run(project: Project) -> None:
    assert promote(project, compile_it(project, real()).artifact_name)
    edit(project, COMPILE, "It stands in brackets.", "It always stands in brackets.")
    assert not promote(project, compile_it(project, real()).artifact_name)  # no gain
    outcomes = {one.receipt.serves: one.outcome for one in replay_all(project)}
    assert outcomes == {True: "verified", False: "replayed"}
