"""A project in a folder, and models that answer it by rule: no server, no network."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import CompileResult, compile_signature
from dse_cli.workflows.inputs import JobInputs, load_inputs
from dse_cli.workflows.session import RunOptions
from tests.lm.calls import RealTransport

NAME = "route"
QUEUES = ("billing", "shipping", "other")
TRAIN, VAL, HOLDOUT = 6, 9, 24
GRID: dict[str, Any] = {
    "optimizer": {"id": "instruction_grid.v1"},
    "search_space": {
        "instructions": [
            {"id": "brackets", "text": "Choose the queue.\nIt stands in brackets.\n"},
            {"id": "loud", "text": "CHOOSE A QUEUE."},
        ]
    },
}
CALLS = 3 * VAL
GREEDY: dict[str, Any] = {
    "optimizer": {"id": "fewshot_greedy_forward.v1"},
    "search_space": {"few_shot": {"k_max": 2, "pool_size": 4}},
}
JOINT: dict[str, Any] = {
    "optimizer": {"id": "joint_instruction_grid_then_fewshot_greedy_forward.v1"},
    "search_space": {**GRID["search_space"], "few_shot": {"k_max": 1}},
}
KNOBS: dict[str, Any] = {
    "optimizer": {"id": "knobs_grid.v1", "config": {"max_candidates": 4}},
    "search_space": {
        **GRID["search_space"],
        "knobs": {"model.temperature": [0.0, 0.7], "render.demos": ["turns", "section"]},
    },
}
JOBS = {"grid": GRID, "greedy": GREEDY, "joint": JOINT, "knobs": KNOBS}

SIGNATURE: dict[str, Any] = {
    "dse": "signature/v1",
    "id": "@test/desk/Route.v1",
    "description": "Choose the queue for a ticket.",
    "input": {"ticket": "string"},
    "output": {"queue": {"enum": list(QUEUES)}},
    "prompt": [
        {"system": "You route tickets."},
        {"instruction": "Choose the queue."},
        {"output_format": "json_schema"},
    ],
    "defaults": {
        "params": {"decode": {"mode": "strict_json", "max_repairs": 1}},
        "constraints": {"timeout_ms": 30_000, "max_tokens": 32},
    },
}


def rows() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for split, count in (("train", TRAIN), ("val", VAL), ("holdout", HOLDOUT)):
        for index in range(count):
            queue = QUEUES[index % 3]
            found.append(
                {
                    "id": f"{split}-{index:02d}",
                    "input": {"ticket": f"{split} note {index} for [{queue}]"},
                    "expected": {"queue": queue},
                    "split": split,
                    "tags": ["even" if index % 2 == 0 else "odd"],
                }
            )
    return found


def write(root: Path, name: str, value: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), encoding="utf-8")


def make_project(
    root: Path, job: dict[str, Any] | None = None, signature: dict[str, Any] | None = None
) -> Project:
    write(
        root,
        "dse.yaml",
        {
            "dse": "project/v1",
            "models": {"desk": {"model": "openai/desk", "max_retries": 0, "concurrency": 64}},
            "default_model": "desk",
        },
    )
    write(root, f"signatures/{NAME}/signature.yaml", {**SIGNATURE, **(signature or {})})
    write(
        root,
        f"signatures/{NAME}/compile.yaml",
        {
            "dse": "compile_job/v1",
            "dataset": "tickets",
            "reward": {"signals": [{"exact_match": {"field": "queue", "weight": 1.0}}]},
            "models": {"main": "desk"},
            "budget": {"max_metric_calls": 400},
            "seed": 7,
            **(GRID if job is None else job),
        },
    )
    dataset = {"dse": "dataset/v1", "id": "tickets", "files": ["rows.jsonl"],
               "split": {"field": "split"}}  # fmt: skip
    write(root, "datasets/tickets/dataset.yaml", dataset)
    lines = "".join(json.dumps(row) + "\n" for row in rows())
    (root / "datasets/tickets/rows.jsonl").write_text(lines, encoding="utf-8")
    return Project.open(root=root)


def inputs_of(project: Project, **options: Any) -> JobInputs:
    return load_inputs(Project.open(root=project.root), NAME, **options)


def rule(request: LmRequest) -> str:
    """Read the brackets when told to, or when shown a demo of that queue; else say "other"."""
    ticket = json.loads(request.messages[-1].content)["ticket"]
    queue = ticket.split("[")[1].split("]")[0]
    told = "brackets" in request.messages[0].content
    shown = "".join(message.content for message in request.messages[:-1])
    return json.dumps({"queue": queue if told or f"for [{queue}]" in shown else "other"})


def as_model(request: LmRequest) -> LmResponse:
    text = rule(request)
    words = sum(len(message.content.split()) for message in request.messages)
    return LmResponse(text, "stop", "desk-1", Usage(words, 4, 0))


def scripted() -> ScriptedTransport:
    return ScriptedTransport(rule)


def real() -> RealTransport:
    """The same answers without the mark of a script, as a model would give them."""
    return RealTransport(as_model)


def options(transport: Layer, **more: Any) -> RunOptions:
    return RunOptions(transport=transport, **more)


def compile_it(
    project: Project, transport: Layer, *, resume: bool = False, **more: Any
) -> CompileResult:
    async def go() -> CompileResult:
        run = options(transport, **more)
        return await compile_signature(inputs_of(project), run, resume=resume)

    return asyncio.run(go())


def tree(project: Project) -> dict[str, bytes]:
    """Return everything that git would see of the artifacts."""
    folder = project.root / "artifacts"
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def edit(project: Project, name: str, old: str, new: str) -> None:
    path = project.root / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


class Counting:
    """A transport that counts what it was asked, by request key.

    Args:
        inner: answers.
    """

    def __init__(self, inner: Layer) -> None:
        self._inner = inner
        self.asked: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.requests: list[LmRequest] = []

    async def complete(self, request: LmRequest) -> LmResponse:
        self.asked[request.key] += 1
        self.requests.append(request)
        response = await self._inner.complete(request)
        self.answered[request.key] += 1
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
