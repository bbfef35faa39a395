"""The shipped judges through the command line: added, pinned, used, replayed and promoted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.desk import DeskServer
from tests.e2e.running import Zygote, environment
from tests.lm.openai_server import Reply, Seen, answer
from tests.workflows.desk import write

GOOD, BAD = "It left on Monday.", "No idea."
TASK: dict[str, Any] = {
    "dse": "signature/v1",
    "id": "@test/desk/Reply.v1",
    "description": "Reply to a ticket.",
    "input": {"ticket": "string"},
    "output": {"reply": "string"},
    "prompt": [{"instruction": "Reply."}, {"output_format": "json_schema"}],
    "defaults": {"constraints": {"max_tokens": 60}},
}
JOB: dict[str, Any] = {
    "dse": "compile_job/v1",
    "dataset": "replies",
    "models": {"main": "desk"},
    "optimizer": {"id": "instruction_grid.v1"},
    "search_space": {"instructions": [{"id": "well", "text": "Reply well."}]},
    "budget": {"max_metric_calls": 200},
}
PER_SPLIT = {"val": 8, "holdout": 12}


def rule(seen: Seen) -> Reply:
    """Reply well when told to; grade right; name whatever stands first as the better one."""
    system, last = (seen.body["messages"][index]["content"] for index in (0, -1))
    value = json.loads(last)
    if "You grade" in system:
        said: dict[str, Any] = {"reason": "r", "score": 5 if value["answer"] == GOOD else 2}
    elif "You compare" in system:
        said = {"reason": "r", "winner": "a"}
    else:
        said = {"reply": GOOD if "Reply well" in system else BAD}
    return answer(json.dumps(said))


@pytest.fixture
def root(tmp_path: Path, server: DeskServer) -> Path:
    server.rule = rule
    models = {"desk": {"model": "openai/test-model", "api_base": server.base}}
    write(tmp_path, "dse.yaml", {"dse": "project/v1", "models": models, "default_model": "desk"})
    write(tmp_path, "signatures/reply/signature.yaml", TASK)
    dataset = {"dse": "dataset/v1", "id": "replies", "files": ["rows.jsonl"],
               "split": {"field": "split"}}  # fmt: skip
    write(tmp_path, "datasets/replies/dataset.yaml", dataset)
    rows = [
        {"id": f"{split}-{n}", "input": {"ticket": f"{split} {n}?"}, "expected": {"reply": GOOD},
         "split": split}
        for split, count in PER_SPLIT.items() for n in range(count)
    ]  # fmt: skip
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (tmp_path / "datasets/replies/rows.jsonl").write_text(lines, encoding="utf-8")
    return tmp_path


def judge(root: Path, artifact: str | None) -> None:
    signal: dict[str, Any] = {
        "signature": "rubric-judge",
        "inputs": {"task": "input.ticket", "answer": "output.reply", "reference": "expected.reply"},
        "score": "score",
        "scale": [1, 5],
        "feedback": "reason",
        "weight": 1.0,
    }
    if artifact is not None:
        signal["artifact"] = artifact
    write(
        root, "signatures/reply/compile.yaml", {**JOB, "reward": {"signals": [{"judge": signal}]}}
    )


def test_a_judge_is_added_pinned_used_replayed_and_promoted_with(
    root: Path, zygote: Zygote
) -> None:
    env = environment(root)

    def dse(*args: str, code: int = 0) -> Any:
        return zygote.run(*args, "--json", cwd=root, env=env, code=code).document

    judge(root, None)
    added = dse("init", "--judge", "rubric")
    assert added["signature"] == "rubric-judge"
    refused = dse("compile", "reply", code=2)
    [problem] = refused["diagnostics"]
    assert problem["file"] == "signatures/reply/compile.yaml"
    assert "not pinned" in problem["message"]
    assert "dse list rubric-judge" in problem["hint"]

    pinned = dse("compile", "rubric-judge", "--model", "desk")
    assert pinned["outcome"] == "baseline_won"
    [listed] = (root / "artifacts/rubric-judge/compiled").iterdir()
    judge(root, listed.name)
    dse("check")

    dse("compile", "reply")
    [artifact] = (root / "artifacts/reply/compiled").iterdir()
    compiled = json.loads(artifact.read_text(encoding="utf-8"))
    assert (compiled["baseline"]["mean"], compiled["evaluation"]["mean"]) == (0.25, 1.0)
    judges = compiled["evaluation"]["judges"]["judge:rubric-judge"]
    assert judges["signature_id"] == "@dse/judges/RubricJudge.v1"
    assert judges["compiled_id"].startswith(f"sha256:{listed.name[:12]}")
    assert judges["lm_calls"] == PER_SPLIT["val"]

    [run] = (root / "artifacts/reply/receipts").iterdir()
    # What is left of the model is the transcript.
    zygote.run("replay", run.name, "--mode", "strict", cwd=root, env=env)
    moved = dse("promote", "reply", artifact.name)
    assert moved["outcome"] == "promote"
    shown = zygote.run("eval", "reply", "--against", "default", cwd=root, env=env)
    assert "@dse/judges/RubricJudge.v1" in shown.stdout + shown.stderr

    text = listed.read_text(encoding="utf-8")
    assert '"max_repairs": 1' in text
    listed.write_text(text.replace('"max_repairs": 1', '"max_repairs": 2'), encoding="utf-8")
    altered = dse("eval", "reply", code=4)
    assert altered["diagnostics"][0]["file"] == "signatures/reply/compile.yaml"


def test_an_unknown_judge_is_refused_with_what_there_is(tmp_path: Path, zygote: Zygote) -> None:
    ran = zygote.run("init", "--judge", "rubrik", cwd=tmp_path, env=environment(tmp_path), code=2)
    assert "'rubric', 'pairwise'" in ran.stderr
    assert not list(tmp_path.glob("signatures"))
