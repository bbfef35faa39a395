"""A judge or a proposer that a job pins is in use, although it never was active."""

from __future__ import annotations

from pathlib import Path

from dse_cli.project.project import Project
from dse_cli.workflows.checks.artifact_pins import artifact_pins
from dse_cli.workflows.checks.check import check_project
from tests.workflows.court import COMPILE, with_judges
from tests.workflows.desk import edit
from tests.workflows.proposals.studio import (
    JOB,
    add_proposer,
    compile_one,
    line_of,
    make_studio,
    override,
    studio_model,
)


def artifact_lines(project: Project) -> list[int]:
    lines = (project.root / COMPILE).read_text().splitlines()
    return [number for number, line in enumerate(lines, 1) if "artifact:" in line]


def test_every_pin_has_its_file_and_line(tmp_path: Path) -> None:
    project = Project.open(root=with_judges(tmp_path).root)
    pins = artifact_pins(project)
    assert sorted(pins) == ["duel", "grader"]
    places = [place for found in pins.values() for place in found.values()]
    assert sorted(places) == sorted(f"{COMPILE}:{line}" for line in artifact_lines(project))


def test_changed_rows_of_a_pinned_judge_name_the_line_of_its_pin(tmp_path: Path) -> None:
    project = with_judges(tmp_path)
    edit(project, "datasets/grades/rows.jsonl", '"task": "t"', '"task": "another"')
    found = check_project(Project.open(root=project.root))
    (rows,) = [one for one in found if one.code == "stale-rows"]
    assert (rows.severity, rows.outcome) == ("warning", "stale")
    assert "never active" not in rows.message
    assert rows.hint is not None
    assert f"put the new id at {COMPILE}:{artifact_lines(project)[0]}" in rows.hint
    assert "delete" not in rows.hint


def test_a_changed_judge_says_where_its_new_id_belongs(tmp_path: Path) -> None:
    project = with_judges(tmp_path)
    edit(project, "signatures/grader/signature.yaml", "You grade", "You always grade")
    found = check_project(Project.open(root=project.root))
    place = f"{COMPILE}:{artifact_lines(project)[0]}"
    hints = {one.code: (one.file, one.line, one.hint or "") for one in found}
    assert hints["stale-judge"][:2] == (COMPILE, artifact_lines(project)[0])
    assert "put the new id here" in hints["stale-judge"][2]
    assert hints["stale"][0] == "signatures/grader/signature.yaml"
    assert place in hints["stale"][2]
    assert not any("delete" in (one.hint or "") for one in found)


def test_changed_rows_of_a_pinned_proposer_name_the_line_of_its_pin(tmp_path: Path) -> None:
    project = make_studio(tmp_path)
    add_proposer(project)
    pinned = compile_one(project, studio_model(), "my-proposer").outputs.artifact
    override(project, artifact=pinned.compiled_id[7:19])
    edit(project, "datasets/proposals/rows.jsonl", "Do it well.", "Do it right.")

    found = check_project(Project.open(root=project.root))
    (rows,) = [one for one in found if one.code == "stale-rows"]
    assert rows.hint is not None
    assert f"put the new id at {JOB}:{line_of(project, 'artifact:')}" in rows.hint
    assert "delete" not in rows.hint
