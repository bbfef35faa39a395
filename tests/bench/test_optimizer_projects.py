from __future__ import annotations

from pathlib import Path

import pytest

from bench.optimizers.project import project_files, slug, write_project
from bench.optimizers.results import inputs_hash
from bench.optimizers.settings import ARMS, Scale
from bench.optimizers.shipped import EXAMPLES, shipped_task
from bench.optimizers.task import Sizes
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.inputs import load_inputs

SCALE = Scale(val=8, budget=40)
SIZES = Sizes(train=10, val=8, test=12)


@pytest.fixture(scope="module", params=EXAMPLES)
def project(request, tmp_path_factory) -> tuple[Project, str]:
    task = shipped_task(request.param, SIZES)
    root: Path = tmp_path_factory.mktemp(task.name)
    write_project(root, project_files(task, SCALE))
    return Project.open(root=root), task.name


def test_every_optimizer_is_compared():
    assert set(ARMS) == set(OPTIMIZERS)


@pytest.mark.parametrize("optimizer", ARMS)
def test_each_job_fits_its_optimizer(project, optimizer: str):
    opened, name = project
    inputs = load_inputs(opened, name, variant=slug(optimizer), overrides={"seed": 3})
    find_optimizer(inputs)  # refuses settings and search spaces that do not fit
    assert inputs.job.optimizer.id == optimizer
    assert inputs.job.budget.max_metric_calls == SCALE.budget
    assert inputs.job.seed == 3


def test_no_compile_can_open_the_rows_that_test(project):
    opened, name = project
    test = load_inputs(opened, name, variant="test").dataset
    assert {row.split for row in test.rows} == {"val"}
    assert len(test.rows) in (SIZES.test, SIZES.test * 3 // 5)
    for optimizer in ARMS:
        inputs = load_inputs(opened, name, variant=slug(optimizer))
        assert inputs.dataset.id == name
        assert not {row.id for row in inputs.dataset.rows} & {row.id for row in test.rows}


def test_writing_again_touches_nothing(tmp_path: Path):
    files = project_files(shipped_task("choose-tool", SIZES), SCALE)
    write_project(tmp_path, files)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    write_project(tmp_path, files)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before
    assert len(before) == len(files)


def test_the_settings_of_one_optimizer_do_not_make_the_runs_of_another_stale():
    files = {"signatures/t/compile.a.yaml": "1", "signatures/t/compile.b.yaml": "2", "rows": "3"}
    hashed = inputs_hash(files, "signatures/t/compile.a.yaml")
    assert (
        inputs_hash({**files, "signatures/t/compile.b.yaml": "9"}, "signatures/t/compile.a.yaml")
        == hashed
    )
    assert inputs_hash({**files, "rows": "9"}, "signatures/t/compile.a.yaml") != hashed
    assert (
        inputs_hash({**files, "signatures/t/compile.a.yaml": "9"}, "signatures/t/compile.a.yaml")
        != hashed
    )
