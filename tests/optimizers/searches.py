"""A search on a made-up world: the reward of a policy is a function of what it says."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.contracts.job import SearchSpace
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import BudgetStopError
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.archive import Entry
from dse_cli.optimizers.proposals.meta_signatures import shipped_signature
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.optimizers.search import Search, SearchPlan
from dse_cli.runtime.policy import Policy, authored_policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import FakeRunner, make_cell, make_engine, make_rows, no_reply
from tests.runtime.policies import MODEL, make_policy

#: Reward of a policy on a row, or reward and tokens.
World = Callable[[Policy, Row], float | tuple[float, int | None]]

GRID = "instruction_grid.v1"
GREEDY = "fewshot_greedy_forward.v1"
JOINT = "joint_instruction_grid_then_fewshot_greedy_forward.v1"
KNOBS = "knobs_grid.v1"


def instructions(**texts: str) -> dict[str, Any]:
    return {"instructions": [{"id": name, "text": text} for name, text in texts.items()]}


@dataclass
class Found:
    """What became of a search."""

    search: Search
    runner: FakeRunner
    plan: SearchPlan
    stopped: BudgetStopError | None = None
    entries: list[Entry] = field(default_factory=list)

    @property
    def origins(self) -> list[str]:
        return [entry.origin for entry in self.entries]

    @property
    def best(self) -> Entry:
        best = self.search.archive.best()
        assert best is not None
        return best

    @property
    def shown(self) -> list[str]:
        """Ids of the demos of the best policy, as shown."""
        return [demo.id for demo in self.best.candidate.main.demos]


def run(
    optimizer: str,
    space: dict[str, Any],
    world: World,
    *,
    base: Policy | None = None,
    train: list[Row] | None = None,
    config: dict[str, Any] | None = None,
    seed: int = 7,
    rows: int = 3,
    reply: Callable[[Query], Prediction] = no_reply,
    answers: Callable[[Policy, Row], dict[str, Any]] | None = None,
    sample: Callable[[CellTask], Cell] | None = None,
    teacher: str | None = None,
    embedder: str | None = None,
    shuffle: random.Random | None = None,
    **limits: Any,
) -> Found:
    """Run an optimizer to its end.

    Args:
        world: what a cell is worth, unless ``sample`` makes the cells.
        reply: what a question to the proposer is answered.
        answers: what a policy says on a row.
    """

    def cell(task: CellTask) -> Cell:
        if sample is not None:
            return sample(task)
        policy = task.candidate.main
        found = world(policy, task.row)
        # A longer prompt costs more, as it does in the real world.
        reward, tokens = found if isinstance(found, tuple) else (found, 10 + len(policy.demos))
        output = None if answers is None else answers(policy, task.row)
        usage = CellUsage(1, 0, tokens, 0, 0)
        return make_cell(task, reward=reward, usage=usage, output=output)

    registered = OPTIMIZERS[optimizer]
    parsed = registered.parse(config or {})
    runner = FakeRunner(cell, reply=reply, shuffle=shuffle)
    search = Search.start(
        make_engine(runner, **limits),
        base or make_policy(),
        train=make_rows(4, "train") if train is None else train,
        val=registered.optimizer.selection(make_rows(rows, prefix="v"), parsed, seed),
        space=SearchSpace.model_validate(space),
        seed=seed,
        meta={
            name: authored_policy(shipped_signature(name), model=MODEL)
            for name in registered.optimizer.meta
        },
        teacher=teacher,
        embedder=embedder,
    )
    found = Found(search, runner, registered.optimizer.plan(search, parsed))
    try:
        asyncio.run(registered.optimizer.search(search, parsed))
    except BudgetStopError as stopped:
        found.stopped = stopped
    found.entries = list(search.archive)
    assert len(found.entries) <= registered.optimizer.most_candidates(search, parsed)
    assert len(runner.tasks) <= found.plan.metric_calls
    assert len(runner.queries) <= found.plan.queries
    return found
