"""COPRO and SIMBA through the whole of a compile: gateway, receipt, resume, replay."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import NothingSelectedError, SpecError
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.layer import Layer
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.workflows.plans.plan import plan_compile
from dse_cli.workflows.replays.replay import ReplayReport, replay_strict
from dse_cli.workflows.session import RunOptions
from tests.evaluation.cells import unit
from tests.workflows.desk import (
    Counting,
    compile_it,
    inputs_of,
    make_project,
    options,
    rule,
    tree,
)

COPRO: dict[str, Any] = {
    "optimizer": {"id": "copro.v1", "config": {"breadth": 3, "depth": 2}},
    "search_space": {},
}
SIMBA: dict[str, Any] = {
    "optimizer": {
        "id": "simba.v1",
        "config": {"bsize": 6, "num_candidates": 2, "max_steps": 3, "max_demos": 2},
    },
    "search_space": {},
}
JOBS = {"copro": COPRO, "simba": SIMBA}


def says(request: LmRequest) -> str:
    """Propose what helps, what does not, and junk; when sampled, know the queue half of the time.

    What is said depends on the place of the question alone, not on how it is worded.
    """
    if request.path.startswith("propose/"):
        number = int(request.path.split("/attempt")[0].rsplit("=", 1)[1])
        field = "advice" if "simba" in request.path else "instruction"
        kinds = (f"Mind the brackets, {request.path}.", f"Do your best, {request.path}.", None)
        text = kinds[number % 3]
        return "I cannot say." if text is None else json.dumps({field: text})
    if request.sampling.temperature:
        ticket = json.loads(request.messages[-1].content)["ticket"]
        knows = (unit(ticket) > 0.5) == (request.rollout % 2 == 0)
        return json.dumps({"queue": ticket.split("[")[1].split("]")[0] if knows else "other"})
    return rule(request)


def model() -> ScriptedTransport:
    return ScriptedTransport(says)


class Interrupted:
    """Answers so many calls and is then interrupted as by Ctrl-C."""

    def __init__(self, after: int) -> None:
        self._left = after

    async def complete(self, request: LmRequest) -> LmResponse:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return await model().complete(request)

    async def aclose(self) -> None:
        """Nothing to close."""


def strict(project: Project, run: str) -> ReplayReport:
    return asyncio.run(replay_strict(Project.open(root=project.root), run, RunOptions()))


def compiled(root: Path, job: str, transport: Layer | None = None, **more: Any) -> Any:
    return compile_it(make_project(root, JOBS[job]), transport or model(), **more)


@pytest.fixture(scope="module", params=sorted(JOBS))
def whole(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, dict[str, bytes], int]:
    """A job, what an uninterrupted run of it leaves, and how many calls that took."""
    project = make_project(tmp_path_factory.mktemp("whole"), JOBS[request.param])
    result = compile_it(project, model())
    return request.param, tree(project), result.paid_calls


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_compile_finds_what_the_proposer_wrote_and_writes_it_all_down(
    job: str, tmp_path: Path
) -> None:
    project = make_project(tmp_path, JOBS[job])
    plan = asyncio.run(plan_compile(inputs_of(project), options(model())))
    result = compile_it(project, model())
    artifact, predicate = result.outputs.artifact, result.outputs.receipt.predicate
    assert (artifact.baseline.mean or 0.0) < 0.5 < (artifact.evaluation.mean or 0.0)
    found = predicate.result.to_json()
    outcomes = {one["outcome"] for one in found["proposals"]}
    assert {"used"} <= outcomes <= {"used", "junk", "duplicate"}
    assert found["trials"][0]["kind"] == "base"
    assert {one["candidate"] for one in found["trials"]} <= {
        one["id"] for one in found["candidates"]
    }
    names = {one.name for one in predicate.buildDefinition.resolvedDependencies}
    meta = {"copro": "rewrite_instruction", "simba": "offer_advice"}[job]
    assert f"meta:{meta}/policy" in names
    assert 0 < (result.outcome.charged["metric_calls"] or 0) <= plan.most.metric_calls


def test_a_replay_asks_nobody_and_gives_the_same_bytes(tmp_path: Path) -> None:
    for job in sorted(JOBS):
        project = make_project(tmp_path / job, JOBS[job])
        result = compile_it(project, model())
        before = tree(project)
        report = strict(project, result.folder.removeprefix("receipts/"))
        assert (report.live, report.served) == (0, result.paid_calls)
        assert tree(project) == before


@pytest.mark.parametrize("share", [0.0, 0.13, 0.35, 0.6, 0.97])
def test_a_run_that_is_interrupted_anywhere_resumes_to_the_same_bytes(
    share: float, tmp_path: Path, whole: tuple[str, dict[str, bytes], int]
) -> None:
    job, left, calls = whole
    after = int(share * calls)
    project = make_project(tmp_path, JOBS[job])
    second = Counting(model())
    with pytest.raises(KeyboardInterrupt):
        compile_it(project, Interrupted(after), concurrency=1)
    result = compile_it(project, second, resume=True)
    assert tree(project) == left
    assert result.resumed_calls == after
    assert second.answered.total() == calls - after


@pytest.mark.parametrize("concurrency", [1, 3, 64])
def test_concurrency_decides_nothing(
    concurrency: int, tmp_path: Path, whole: tuple[str, dict[str, bytes], int]
) -> None:
    job, left, _ = whole
    project = make_project(tmp_path, JOBS[job])
    compile_it(project, model(), concurrency=concurrency)
    assert tree(project) == left


def test_another_seed_is_another_run(
    tmp_path: Path, whole: tuple[str, dict[str, bytes], int]
) -> None:
    job, left, _ = whole
    project = make_project(tmp_path, {**JOBS[job], "seed": 8})
    compile_it(project, model())
    assert not set(left) & set(tree(project))


def test_simba_without_train_rows_selects_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path, SIMBA)
    path = tmp_path / "datasets/tickets/rows.jsonl"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join(line for line in lines if '"train-' not in line), "utf-8")
    with pytest.raises(NothingSelectedError, match="train"):
        compile_it(project, model())


def test_a_minibatch_that_train_cannot_fill_is_an_error_at_its_line(tmp_path: Path) -> None:
    job = {**SIMBA, "optimizer": {"id": "simba.v1", "config": {"bsize": 7}}}
    with pytest.raises(SpecError) as refused:
        compile_it(make_project(tmp_path, job), model())
    [problem] = refused.value.diagnostics
    assert "7 rows is more than the 6 of train" in problem.message
    lines = (tmp_path / "signatures/route/compile.yaml").read_text("utf-8").splitlines()
    assert "bsize" in lines[problem.line - 1]
