"""A project whose replies are graded and compared by judges of its own, and a model for both."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import CompileResult, compile_signature
from dse_cli.workflows.inputs import JobInputs, load_inputs
from dse_cli.workflows.session import RunOptions
from tests.evaluation.judges.judged import DUEL, GRADE, GRADER, PAIR, REPLY
from tests.workflows.desk import write

VAL = 4
#: The same as the reply under test would be from a better prompt.
GOOD = "Soon, by post."
JOB: dict[str, Any] = {
    "dse": "compile_job/v1",
    "models": {"main": "desk"},
    "optimizer": {"id": "authored.v1"},
    "budget": {"max_metric_calls": 400},
    "seed": 7,
}
REPLY_JOB: dict[str, Any] = {
    **JOB,
    "dataset": "replies",
    "optimizer": {"id": "instruction_grid.v1"},
    "search_space": {"instructions": [{"id": "good", "text": "You reply well."}]},
}
COMPILE = "signatures/reply/compile.yaml"


def make_court(root: Path) -> Project:
    """Write the project; the job of ``reply`` has no judge yet."""
    models = {"desk": {"model": "openai/desk", "max_retries": 0, "concurrency": 64}}
    write(root, "dse.yaml", {"dse": "project/v1", "models": models, "default_model": "desk"})
    for name, spec in (("reply", REPLY), ("grader", GRADER), ("duel", DUEL)):
        caps = {"defaults": {"params": {"decode": {"mode": "strict_json", "max_repairs": 0}},
                             "constraints": {"max_tokens": 40}}}  # fmt: skip
        whole = {"dse": "signature/v1", "description": "d", **spec, **caps}
        write(root, f"signatures/{name}/signature.yaml", whole)
    _dataset(root, "replies", [({"ticket": f"Where is {n}?"}, {"reply": GOOD}) for n in range(VAL)])
    _dataset(
        root,
        "grades",
        [({"task": "t", "answer": GOOD, "reference": GOOD}, {"reason": "", "score": 5})],
    )
    _dataset(
        root, "duels", [({"task": "t", "one": GOOD, "two": "No."}, {"reason": "", "winner": "a"})]
    )
    exact = {"signals": [{"exact_match": 1.0}]}
    write(root, COMPILE, {**REPLY_JOB, "reward": exact})
    for name, dataset in (("grader", "grades"), ("duel", "duels")):
        write(root, f"signatures/{name}/compile.yaml", {**JOB, "dataset": dataset, "reward": exact})
    return Project.open(root=root)


def judge_with(project: Project, *signals: dict[str, Any], **job: Any) -> None:
    """Let ``reply`` be judged by these signals."""
    reward = {"signals": list(signals)}
    write(project.root, COMPILE, {**REPLY_JOB, "reward": reward, **job})


def pin(project: Project, name: str) -> str:
    """Compile a judge and return the first digits of its id."""
    return compile_one(project, name, scripted()).outputs.artifact.compiled_id[7:19]


def with_judges(root: Path) -> Project:
    """Return a court in which both judges are pinned and used."""
    project = make_court(root)
    grade, pair = pin(project, "grader"), pin(project, "duel")
    judge_with(
        project,
        {"judge": {**GRADE, "artifact": grade}},
        {"pairwise_judge": {**PAIR, "artifact": pair}},
    )
    return project


def load(project: Project, name: str = "reply") -> JobInputs:
    return load_inputs(Project.open(root=project.root), name)


def compile_one(project: Project, name: str, transport: Layer, **more: Any) -> CompileResult:
    options = RunOptions(transport=transport, **more)
    return asyncio.run(compile_signature(load(project, name), options))


def rule(request: LmRequest) -> str:
    """Reply well when told to; grade by the reference; prefer the good reply, or the first."""
    system, value = request.messages[0].content, json.loads(request.messages[-1].content)
    if "You reply" in system:
        return json.dumps({"reply": GOOD if "well" in system else "No."})
    if "You grade" in system:
        score = 5 if value["answer"] == value["reference"] else 2
        return json.dumps({"reason": "by the reference", "score": score})
    if value["one"] == value["two"]:
        return '{"reason": "the same", "winner": "tie"}'
    # Position bias: whatever stands first wins.
    return '{"reason": "the first one", "winner": "a"}'


def scripted() -> ScriptedTransport:
    return ScriptedTransport(rule)


def as_model(request: LmRequest) -> LmResponse:
    return LmResponse(rule(request), "stop", "desk-1", Usage(10, 5, 100))


def _dataset(root: Path, name: str, pairs: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    spec = {"dse": "dataset/v1", "id": name, "files": ["rows.jsonl"], "split": {"field": "split"}}
    write(root, f"datasets/{name}/dataset.yaml", spec)
    rows = [
        {"id": f"{name}-{index}", "input": value, "expected": expected, "split": "val"}
        for index, (value, expected) in enumerate(pairs)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (root / f"datasets/{name}/rows.jsonl").write_text(lines, encoding="utf-8")
