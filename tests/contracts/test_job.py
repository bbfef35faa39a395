from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.artifact import StopReason
from dse_cli.contracts.dataset import DatasetSpec, Row, rows_hash
from dse_cli.contracts.job import CompileJob
from dse_cli.contracts.project import ProjectSpec

JOB: dict[str, Any] = {
    "dse": "compile_job/v1",
    "dataset": "d",
    "reward": {"signals": [{"exact_match": 1}]},
    "models": {"main": "local"},
    "optimizer": {"id": "instruction_grid.v1"},
    "budget": {"max_metric_calls": 10},
}


def test_a_job_without_a_seed_has_the_seed_0() -> None:
    assert CompileJob.model_validate(JOB).seed == 0


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": 1},
        {"seed": 1.5},
        {"seed": True},
        {"seed": 2**53},
        {"budget": {}},
        {"budget": {"max_metric_calls": 0}},
        {"budget": {"max_calls": 1}},
        {"models": {"main": "local", "judge": "local"}},
        {"models": {}},
        {"reward": {"signals": []}},
        {"reward": {"signals": [{"exact_match": 0}]}},
        {"reward": {"signals": [{"exact_match": True}]}},
        {"reward": {"signals": [{"exact_match": 1, "contains": 1}]}},
        {"reward": {"signals": [{"accuracy": 1}]}},
        {"reward": {"signals": [{"regex": {"field": "a", "pattern": "(", "weight": 1}}]}},
        {"search_space": {"instruction": []}},
        {"search_space": {"instructions": [{"id": "base", "text": "t"}]}},
        {"search_space": {"instructions": [{"id": "a", "text": "t"}, {"id": "a", "text": "u"}]}},
        {"search_space": {"few_shot": {"k_max": 0}}},
        {"search_space": {"knobs": {"model.api_base": ["x"]}}},
        {"search_space": {"knobs": {"model.temperature": []}}},
    ],
)
def test_a_job_that_cannot_be_kept_is_refused(change) -> None:
    with pytest.raises(ValidationError):
        CompileJob.model_validate({**JOB, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"split": {}},
        {"split": {"field": "split", "hash": {"train": 1, "val": 0, "holdout": 0, "seed": 1}}},
        {"split": {"hash": {"train": 0.5, "val": 0.5, "holdout": 0.5, "seed": 1}}},
        {"files": []},
        {"files": [1]},
        {"file": "a.jsonl"},
        {"id": "No Spaces"},
    ],
)
def test_a_dataset_that_cannot_be_read_is_refused(change) -> None:
    good = {"dse": "dataset/v1", "id": "d", "files": ["a.jsonl"], "split": {"field": "split"}}
    assert DatasetSpec.model_validate(good).id == "d"
    with pytest.raises(ValidationError):
        DatasetSpec.model_validate({**good, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"mini": {"model": "gpt-4o-mini"}}},
        {"models": {"mini": {"model": "openai/a", "api_key": "sk-123"}}},
        {"models": {"mini": {"model": "openai/a", "api_base": "https://me:pw@host/v1"}}},
        {"models": {"local": {"model": "openai/a"}}},
        {"default_model": "unknown"},
        {"gate": {"alpha": 0.5}},
        {"limits": {"max_error_rate": 1.1}},
        {"limit": {}},
    ],
)
def test_a_project_that_cannot_be_kept_is_refused(change) -> None:
    assert ProjectSpec.model_validate({"dse": "project/v1"}).default_model == "local"
    with pytest.raises(ValidationError):
        ProjectSpec.model_validate({"dse": "project/v1", **change})


def test_the_hash_of_a_row_covers_its_content_and_not_its_place() -> None:
    row = Row("a", {"x": 1}, {"y": 1}, "val", ("t",), "g", "f.jsonl", 3)
    assert row.hash == Row("a", {"x": 1}, {"y": 1}, "val", ("t",), "g", "other", 9).hash
    others = [
        Row("b", {"x": 1}, {"y": 1}, "val", ("t",), "g"),
        Row("a", {"x": 2}, {"y": 1}, "val", ("t",), "g"),
        Row("a", {"x": 1}, {"y": 2}, "val", ("t",), "g"),
        Row("a", {"x": 1}, {"y": 1}, "train", ("t",), "g"),
        Row("a", {"x": 1}, {"y": 1}, "val", (), "g"),
        Row("a", {"x": 1}, {"y": 1}, "val", ("t",), None),
    ]
    assert len({row.hash, *(other.hash for other in others)}) == 7


def test_the_hash_of_rows_does_not_depend_on_their_order() -> None:
    rows = [Row(name, {"x": name}, {}, "val") for name in "cab"]
    assert rows_hash(rows) == rows_hash(rows[::-1])
    assert rows_hash(rows) != rows_hash(rows[:2])


def test_a_stop_reason_is_one_of_the_budgets_or_complete() -> None:
    with pytest.raises(ValidationError):
        StopReason.model_validate({"kind": "tired"})
