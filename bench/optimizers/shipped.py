"""The shipped examples, split again: their train rows only, as their holdouts are for gates."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.optimizers.task import Sizes, Task, TaskRow, balanced, cut, distinct
from dse_cli.project.yaml_document import load_yaml

_ROOT: Final = Path(__file__).resolve().parents[2]


class Example(NamedTuple):
    """A shipped example.

    Attributes:
        fields: scored output fields.
        label: the field by which splits are balanced.
    """

    fields: tuple[str, ...]
    label: str


EXAMPLES: Final = {
    "route-ticket": Example(("queue",), "queue"),
    "choose-tool": Example(("tool",), "tool"),
    "extract-booking": Example(("action", "service", "weekday", "time", "people"), "action"),
}


def shipped_task(name: str, sizes: Sizes, root: Path = _ROOT) -> Task:
    """Return a shipped example with its signature and its instructions.

    An example with fewer train rows than asked for keeps the proportions of the splits. Where
    several fields are scored, a row says more and costs more: three in five rows test.

    Args:
        name: of :data:`EXAMPLES`.
        root: the shipped project.
    """
    example = EXAMPLES[name]
    if len(example.fields) > 1:
        sizes = sizes._replace(test=sizes.test * 3 // 5)
    rows = distinct(_train_rows(root / f"datasets/{name}/examples.jsonl"))
    signature = _mapping(root / f"signatures/{name}/signature.yaml")
    signature["defaults"]["constraints"]["timeout_ms"] = 300_000
    job = _mapping(root / f"signatures/{name}/compile.yaml")
    variants = job["search_space"]["instructions"]
    order = balanced(rows, lambda row: str(row.expected[example.label]), name)
    return Task(
        name=name,
        source=f"the shipped example {name}: its train rows, split again",
        signature=signature,
        fields=example.fields,
        splits=cut(order, fitted(sizes, len(order))),
        instructions={variant["id"]: variant["text"] for variant in variants},
    )


def fitted(sizes: Sizes, rows: int) -> Sizes:
    """Return sizes that fit so many rows: as asked, or a quarter val and two in five test."""
    if rows >= sum(sizes):
        return sizes
    return Sizes(train=rows, val=min(sizes.val, rows // 4), test=min(sizes.test, rows * 2 // 5))


def _train_rows(path: Path) -> list[TaskRow]:
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        TaskRow(row["id"], row["input"], row["expected"], tuple(row.get("tags", ())))
        for row in found
        if row["split"] == "train"
    ]


def _mapping(path: Path) -> dict[str, Any]:
    """Return a spec as plain data, ours to change."""
    return dict(copy.deepcopy(load_yaml(path, name=path.name).value))
