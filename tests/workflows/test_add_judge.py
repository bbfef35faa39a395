"""`dse init --judge`: what ships, and that it touches nothing that is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.project.project import Project
from dse_cli.runtime.render import prepare
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.init import JudgeKind, add_judge, init_project
from dse_cli.workflows.inputs import JobInputs, load_inputs

LABEL = {"rubric": "score", "pairwise": "winner"}
KINDS: tuple[JudgeKind, ...] = ("rubric", "pairwise")


def added(folder: Path, kind: JudgeKind) -> JobInputs:
    init_project(folder)
    name, files = add_judge(folder, kind)
    assert files == [
        f"datasets/{name}/dataset.yaml",
        f"datasets/{name}/examples.jsonl",
        f"signatures/{name}/compile.yaml",
        f"signatures/{name}/signature.yaml",
    ]
    return load_inputs(Project.open(root=folder), name)


@pytest.mark.parametrize("kind", KINDS)
def test_an_added_judge_is_sound_and_ready_to_be_pinned(tmp_path: Path, kind: JudgeKind) -> None:
    inputs = added(tmp_path, kind)
    assert check_project(inputs.project) == []
    assert inputs.signature.spec.kind == "judge"
    assert inputs.signature.rubric is not None
    assert find_optimizer(inputs)[0].optimizer.id == "authored.v1"
    assert inputs.base.sampling().temperature == 0
    assert inputs.base.sampling().max_tokens == 160


@pytest.mark.parametrize("kind", KINDS)
def test_its_judgements_are_enough_balanced_and_of_different_tasks(
    tmp_path: Path, kind: JudgeKind
) -> None:
    dataset = added(tmp_path, kind).dataset
    tasks: dict[str, set[str | None]] = {}
    for split in ("train", "val", "holdout"):
        rows = dataset.split(split)
        assert len(rows) >= 12
        labels = Counter(row.expected[LABEL[kind]] for row in rows)
        assert len(set(labels.values())) == 1, split
        assert len(labels) == {"rubric": 5, "pairwise": 3}[kind]
        tasks[split] = {row.group for row in rows}
    assert not tasks["train"] & tasks["val"] | tasks["val"] & tasks["holdout"]


def test_a_pair_is_not_decided_by_its_place_or_its_length(tmp_path: Path) -> None:
    rows = added(tmp_path, "pairwise").dataset.rows
    longer: list[bool] = []
    for row in rows:
        a, b = len(row.input["answer_a"]), len(row.input["answer_b"])
        if row.expected["winner"] != "tie":
            longer.append((a > b) == (row.expected["winner"] == "a"))
    assert 0.35 < sum(longer) / len(longer) < 0.65


@pytest.mark.parametrize("kind", KINDS)
def test_the_reason_is_asked_for_before_the_verdict(tmp_path: Path, kind: JudgeKind) -> None:
    shown = prepare(added(tmp_path, kind).base).prefix[0].content
    assert shown.index('"reason":') < shown.index(f'"{LABEL[kind]}":')
    assert "Rubric:" in shown


def test_the_reason_of_each_judgement_fits_the_answer_of_the_judge(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for kind in KINDS:
        name, _ = add_judge_to(tmp_path / kind, kind)
        text = (tmp_path / kind / f"datasets/{name}/examples.jsonl").read_text(encoding="utf-8")
        rows += [json.loads(line) for line in text.splitlines()]
    assert all(10 < len(row["expected"]["reason"]) < 160 for row in rows)


def add_judge_to(folder: Path, kind: JudgeKind) -> tuple[str, list[str]]:
    init_project(folder)
    return add_judge(folder, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_judge_that_is_there_is_not_overwritten(tmp_path: Path, kind: JudgeKind) -> None:
    init_project(tmp_path)
    path = tmp_path / f"signatures/{kind}-judge/signature.yaml"
    path.parent.mkdir()
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="nothing was written") as error:
        add_judge(tmp_path, kind)
    assert f"signatures/{kind}-judge/signature.yaml" in error.value.message
    assert path.read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / f"datasets/{kind}-judge").exists()


def test_a_judge_needs_a_project(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no dse\.yaml"):
        add_judge(tmp_path, "rubric")
    assert list(tmp_path.iterdir()) == []
