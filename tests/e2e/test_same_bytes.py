"""The same inputs, seed and responses write the same bytes, however the work was done."""

from __future__ import annotations

import shutil

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import CALLS, NAME, DeskServer

#: Cache, cells in flight, PYTHONHASHSEED; each is another process.
WAYS = [("warm", "1", "1"), ("cold", "1", "0"), ("cold", "16", "1"), ("none", "16", "0")]


def test_recompiling_leaves_git_status_clean(desk: Desk, server: DeskServer) -> None:
    desk.fresh("compile", NAME, "--concurrency", "16", PYTHONHASHSEED="0")
    desk.commit()
    for cache, concurrency, hash_seed in WAYS:
        if cache == "cold":
            shutil.rmtree(desk.root / ".dse")
        before = server.total
        options = ["--no-cache"] if cache == "none" else []
        desk.fresh(
            "compile", NAME, "--concurrency", concurrency, *options, PYTHONHASHSEED=hash_seed
        )
        assert desk.status() == "", (cache, concurrency, hash_seed)
        assert server.total - before == (0 if cache == "warm" else CALLS)


@pytest.mark.parametrize(
    "optimizer",
    [
        "fewshot_greedy_forward.v1",
        "joint_instruction_grid_then_fewshot_greedy_forward.v1",
        "knobs_grid.v1",
    ],
)
def test_every_optimizer_writes_the_same_bytes_cold_and_replays(desk: Desk, optimizer: str) -> None:
    spaces = {
        "few_shot": "few_shot: {k_max: 2, pool_size: 3}",
        "instructions": "instructions: [{id: a, text: Choose the box by colour.}]",
        "knobs": "knobs: {model.temperature: [0.0, 0.5], render.demos: [turns, section]}",
    }
    parts = {
        "fewshot_greedy_forward.v1": ["few_shot"],
        "joint_instruction_grid_then_fewshot_greedy_forward.v1": ["few_shot", "instructions"],
        "knobs_grid.v1": ["knobs"],
    }[optimizer]
    job = desk.root / "signatures" / NAME / "compile.yaml"
    head, rest = job.read_text().split("optimizer:")
    tail = rest[rest.index("budget:") :]
    space = "".join(f"  {spaces[part]}\n" for part in parts)
    job.write_text(f"{head}optimizer: {{id: {optimizer}}}\nsearch_space:\n{space}{tail}")
    run = desk.dse("compile", NAME, "--json").document["run"][7:19]
    desk.commit()
    shutil.rmtree(desk.root / ".dse")
    desk.dse("compile", NAME, "--concurrency", "1")
    assert desk.status() == ""
    assert desk.dse("replay", run, "--mode", "strict").code == 0
    assert desk.dse("check").stdout == "sound\n"
