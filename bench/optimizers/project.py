"""A task as a real DSE project on disk, with one compile job for each optimizer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from bench.optimizers.settings import ARMS, Scale
from bench.optimizers.task import Task, TaskRow

#: The job by which winners are measured: it names the dataset that no compile opens.
TEST_JOB: Final = "test"
MODEL: Final = "local"


def slug(optimizer: str) -> str:
    """Return the name of an optimizer's job: ``mipro_v2.v1`` is ``compile.mipro-v2-v1.yaml``."""
    return optimizer.replace("_", "-").replace(".", "-")


def write_project(root: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project; one that holds its text already is left as it is."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def project_files(task: Task, scale: Scale) -> dict[str, str]:
    """Return the text of every file of the project, by path.

    The rows that test stand in a dataset of their own, so that no compile job can open them.
    """
    home, rows = f"signatures/{task.name}", f"datasets/{task.name}"
    splits = task.splits
    return {
        "dse.yaml": _yaml(
            {
                "dse": "project/v1",
                "default_model": MODEL,
                "limits": {"max_error_rate": 0.02, "concurrency": 4},
            }
        ),
        f"{home}/signature.yaml": _yaml(task.signature),
        f"{home}/compile.yaml": _yaml(_job(task, "authored.v1", scale)),
        f"{home}/compile.{TEST_JOB}.yaml": _yaml(
            {**_job(task, "authored.v1", scale), "dataset": f"{task.name}-test"}
        ),
        **{
            f"{home}/compile.{slug(optimizer)}.yaml": _yaml(_job(task, optimizer, scale))
            for optimizer in ARMS
        },
        f"{rows}/dataset.yaml": _dataset(task.name),
        f"{rows}/rows.jsonl": _rows({"train": splits.train, "val": splits.val}),
        f"{rows}-test/dataset.yaml": _dataset(f"{task.name}-test"),
        f"{rows}-test/rows.jsonl": _rows({"val": splits.test}),
    }


def _job(task: Task, optimizer: str, scale: Scale) -> dict[str, Any]:
    arm = ARMS[optimizer]
    job: dict[str, Any] = {
        "dse": "compile_job/v1",
        "dataset": task.name,
        "reward": {
            "signals": [{"exact_match": {"field": field, "weight": 1.0}} for field in task.fields]
        },
        "models": {"main": MODEL, **arm.models},
        "optimizer": {"id": optimizer},
        "budget": {"max_metric_calls": scale.budget},
        "seed": 1,
    }
    config, space = arm.config(scale), dict(arm.space)
    if arm.searches_texts:
        texts = sorted(task.instructions.items())
        space = {"instructions": [{"id": name, "text": text} for name, text in texts], **space}
    if config:
        job["optimizer"]["config"] = config
    if space:
        job["search_space"] = space
    return job


def _dataset(identifier: str) -> str:
    return _yaml(
        {
            "dse": "dataset/v1",
            "id": identifier,
            "files": ["rows.jsonl"],
            "split": {"field": "split"},
        }
    )


def _rows(splits: Mapping[str, Sequence[TaskRow]]) -> str:
    return "".join(f"{line}\n" for line in _row_lines(splits))


def _row_lines(splits: Mapping[str, Sequence[TaskRow]]) -> Iterator[str]:
    for split, rows in splits.items():
        for row in sorted(rows, key=lambda row: row.id):
            value: dict[str, Any] = {
                "id": row.id,
                "input": row.input,
                "expected": row.expected,
                "split": split,
            }
            if row.tags:
                value["tags"] = list(row.tags)
            yield json.dumps(value, ensure_ascii=False)


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, allow_unicode=True, sort_keys=False, width=100)
