"""A desk whose instructions are proposed by a model, and a proposer of the project's own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import CompileResult, compile_signature
from dse_cli.workflows.inputs import load_inputs
from dse_cli.workflows.session import RunOptions
from tests.lm.calls import RealTransport
from tests.workflows.desk import NAME, edit, make_project, rule, write

JOB = f"signatures/{NAME}/compile.yaml"
OWN = "signatures/my-proposer/signature.yaml"
PROPOSE: dict[str, Any] = {
    "optimizer": {
        "id": "instruction_propose.v1",
        "config": {"breadth": 2, "rounds": 2, "patience": 2, "reflection_rows": 5},
    }
}
#: A proposer of the project: it reads less, and thinks before it writes.
PROPOSER: dict[str, Any] = {
    "dse": "signature/v1",
    "id": "@test/desk/MyProposer.v1",
    "description": "Write an instruction.",
    "input": {"basic_instruction": "string", "tip": {"type": "string", "description": "How"}},
    "output": {"thoughts": "string", "instruction": "string"},
    "prompt": [{"instruction": "Write it better, our way."}, {"output_format": "json_schema"}],
    "defaults": {
        "params": {"decode": {"mode": "strict_json", "max_repairs": 0}},
        "constraints": {"max_tokens": 64},
    },
}


def make_studio(root: Path, **job: Any) -> Project:
    """Write the project; nothing is overridden yet."""
    project = make_project(root, {**PROPOSE, **job})
    models = {
        name: {"model": f"openai/{name}", "max_retries": 0, "concurrency": 64}
        for name in ("desk", "muse")
    }
    write(root, "dse.yaml", {"dse": "project/v1", "models": models, "default_model": "desk"})
    return project


def add_proposer(project: Project, **changes: Any) -> None:
    """Write the proposer of the project, with a dataset and a job, so that it can be compiled."""
    write(project.root, OWN, {**PROPOSER, **changes})
    job = {
        "dse": "compile_job/v1",
        "dataset": "proposals",
        "reward": {"signals": [{"format_validity": 1.0}]},
        "models": {"main": "muse"},
        "optimizer": {"id": "authored.v1"},
        "budget": {"max_metric_calls": 9},
    }
    write(project.root, "signatures/my-proposer/compile.yaml", job)
    spec = {"dse": "dataset/v1", "id": "proposals", "files": ["rows.jsonl"],
            "split": {"field": "split"}}  # fmt: skip
    write(project.root, "datasets/proposals/dataset.yaml", spec)
    row = {
        "id": "p-1",
        "input": {"basic_instruction": "Do it.", "tip": ""},
        "expected": {"thoughts": "t", "instruction": "Do it well."},
        "split": "val",
    }
    rows = project.root / "datasets/proposals/rows.jsonl"
    rows.write_text(json.dumps(row) + "\n", encoding="utf-8")


def override(project: Project, **settings: Any) -> None:
    """Let the project's proposer stand in for the shipped one."""
    lines = "".join(f"    {key}: {value}\n" for key, value in settings.items())
    text = f"meta:\n  propose_instruction:\n    signature: my-proposer\n{lines}"
    edit(project, JOB, "seed: 7\n", f"seed: 7\n{text}")


def compile_one(
    project: Project, transport: Layer, name: str = NAME, **options: Any
) -> CompileResult:
    inputs = load_inputs(Project.open(root=project.root), name, **options)
    return asyncio.run(compile_signature(inputs, RunOptions(transport=transport)))


def line_of(project: Project, text: str, file: str = JOB) -> int:
    lines = (project.root / file).read_text(encoding="utf-8").splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if text in line]
    return number


def answer(request: LmRequest) -> LmResponse:
    """Route tickets by the rule of the desk; propose to read the brackets, in the second round."""
    value = json.loads(request.messages[-1].content)
    if "ticket" in value:
        text = rule(request)
    elif "thoughts" in request.messages[0].content:
        text = json.dumps({"thoughts": "short", "instruction": f"Ours {request.rollout}"})
    elif "failures" in value:
        text = json.dumps({"instruction": f"Read the brackets {request.rollout}"})
    else:
        # One of two proposals is junk, so that the search must live without it.
        is_junk = request.path.endswith("instruction=001/attempt=0")
        text = "I'd rather not." if is_junk else json.dumps({"instruction": "Route well."})
    return LmResponse(text, "stop", f"{request.identity.model}-1", Usage(9, 4, 0))


def studio_model() -> RealTransport:
    return RealTransport(answer)
