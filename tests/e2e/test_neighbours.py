"""Demos by nearest neighbours through the command line, with an embedder behind real HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Desk
from tests.e2e.desk import COLOURS, NAME, TRAIN, VAL, DeskServer, write_project
from tests.e2e.running import Zygote, git
from tests.lm.openai_server import Reply, Seen, answer, embedding

PROJECT = """\
dse: project/v1
models:
  desk: {{model: openai/test-model, api_base: {base}, concurrency: 64, max_retries: 1}}
  near: {{model: openai/test-embedder, api_base: {base}, concurrency: 64, max_retries: 1}}
default_model: desk
limits: {{max_error_rate: 0.0, concurrency: 8}}
gate: {{margin: 0.02}}
"""
JOB = """\
dse: compile_job/v1
dataset: notes
reward:
  signals:
    - exact_match: {field: box, weight: 1.0}
models: {main: desk, embedder: near}
optimizer: {id: fewshot_knn.v1, config: {k: [1, 2]}}
search_space: {few_shot: {k_max: 2}}
budget: {max_metric_calls: 200, max_lm_calls: 400, max_tokens: 200000}
seed: 7
"""


def rule(seen: Seen) -> Reply:
    """Embed a note by its colour and a little by its thing; answer what the last demo says."""
    if seen.path == "/v1/embeddings":
        words = str(seen.body["input"]).split()
        turn = [1.0 if colour == words[1] else 0.1 for colour in COLOURS]
        return embedding([*turn, 0.01 * int(words[-1])])
    messages = seen.body["messages"]
    demos = [m["content"] for m in messages if m["role"] == "assistant"]
    return answer(demos[-1] if demos else '{"box":"red"}')


@pytest.fixture
def near(tmp_path: Path, server: DeskServer, zygote: Zygote) -> Desk:
    server.rule = rule
    root = write_project(tmp_path / "project", server.base)
    (root / "dse.yaml").write_text(PROJECT.format(base=server.base), encoding="utf-8")
    (root / f"signatures/{NAME}/compile.yaml").write_text(JOB, encoding="utf-8")
    git(root, "init", "-q")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "start")
    return Desk(root, zygote)


def said(ran: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_from_the_job_to_a_prediction_and_back(near: Desk, server: DeskServer) -> None:
    plan = near.dse("compile", NAME, "--dry-run", "--json")
    assert server.total == 0
    assert str(TRAIN) in plan.stdout

    near.dse("compile", NAME)
    folder = near.root / "artifacts" / NAME
    (index,) = (folder / "indexes").iterdir()
    assert server.total > VAL
    near.dse("check")

    # The same again, from the cache: nothing is asked, nothing changes.
    near.commit()
    before = server.total
    near.dse("compile", NAME)
    assert (server.total, near.status()) == (before, "")

    near.dse("promote", NAME, "--latest")
    active = (folder / "active.yaml").read_text(encoding="utf-8")
    pointer = yaml.safe_load(active)
    few_shot = pointer["policy"]["few_shot"]
    assert few_shot["selector"]["embedder"] == "openai/test-embedder"
    assert few_shot["selector"]["index"][7:19] == index.stem
    assert len(few_shot["examples"]) == TRAIN
    assert active.index("selector:") < active.index("examples:")
    near.dse("check")

    shown = near.dse("show", NAME).stdout
    assert f"demo pool ({TRAIN}), of which each input is shown" in shown
    difference = near.dse("diff", NAME, "default", "active", code=1).stdout
    assert "few_shot.selector.k: not set -> 1" in difference
    near.dse("export", NAME)

    before = server.total
    predicted = said(near.dse("predict", NAME, "note=the blue kite number 99", "--json"))
    assert predicted["output"] == {"box": "blue"}
    assert server.total == before + 2  # an embedding and an answer

    evaluated = near.dse("eval", NAME, "--against", "default", "--split", "val", "--json")
    assert '"mean": 1.0' in evaluated.stdout or '"mean":1.0' in evaluated.stdout

    before = server.total
    near.dse("replay", "--all")
    assert server.total == before


def test_a_missing_or_altered_index_stops_every_command_and_names_the_file(
    near: Desk, server: DeskServer
) -> None:
    near.dse("compile", NAME)
    near.dse("promote", NAME, "--latest")
    (index,) = (near.root / "artifacts" / NAME / "indexes").iterdir()
    name = index.relative_to(near.root).as_posix()
    whole = index.read_bytes()
    before = server.total
    index.unlink()
    assert name in near.dse("check", code=4).stderr
    assert name in near.dse("predict", NAME, "note=the blue kite number 9", code=4).stderr
    index.write_bytes(whole.replace(b"127", b"126", 1))
    for command in (("check",), ("eval", NAME, "--split", "val"), ("replay", "--all")):
        ran = near.dse(*command, code=4)
        assert name in ran.stdout + ran.stderr
    assert server.total == before
    index.write_bytes(whole)
    near.dse("check")


def test_an_embedder_that_is_down_is_an_outage_and_the_run_can_be_resumed(
    near: Desk, server: DeskServer
) -> None:
    down = Reply(b'{"error": {"message": "down"}}', 400)
    server.rule = lambda seen: down if seen.path == "/v1/embeddings" else rule(seen)
    ran = near.dse("compile", NAME, code=3)
    assert "have no answer" in ran.stderr
    server.rule = rule
    near.dse("compile", NAME, "--resume")
    near.dse("replay", "--all")
