"""Bootstrapped demos: run a policy on train rows and keep the answers that pass.

BootstrapFewShot of DSPy (Khattab et al. 2023, arXiv:2310.03714), on our engine: every rollout is a
cell, so it is budgeted, recorded and never run twice. Several demo sets are made at once, each on
exactly the rows that a run of it alone, row after row, would look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dse_cli.contracts.prompt_ir import Demo
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.archive import TIE

if TYPE_CHECKING:
    from random import Random

    from dse_cli.contracts.dataset import Row
    from dse_cli.evaluation.engine import Engine
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy

#: Temperature of every round after the first, as published: the same row, another sample.
RETRY_TEMPERATURE = 1.0


def train_pool(search: Search) -> list[Row]:
    """Return the train rows that may become demos, in id order.

    ``search_space.few_shot`` narrows them by tags and ``pool_size``; without it, all of them. A row
    whose right answer is no single output can still be bootstrapped, so it stays.
    """
    space = search.space.few_shot
    if space is None:
        return sorted(search.train, key=lambda row: row.id)
    rows = [row for row in search.train if set(space.tags) <= set(row.tags)]
    if space.pool_size is not None and space.pool_size < len(rows):
        rows = substream(search.seed, "bootstrap", "pool").sample(rows, space.pool_size)
    return sorted(rows, key=lambda row: row.id)


def labelled_demos(policy: Policy, rows: Sequence[Row], k: int, draw: Random) -> tuple[Demo, ...]:
    """Return ``k`` drawn rows as demos with their labels (LabeledFewShot of DSPy)."""
    fits = policy.signature.output_checker.fits
    usable = [row for row in rows if fits(row.expected)]
    return tuple(map(_labelled, draw.sample(usable, min(k, len(usable)))))


def with_demos(policy: Policy, demos: Sequence[Demo]) -> Policy:
    """Return ``policy`` showing ``demos``; the same policy where it shows just these.

    Naming an empty list where nothing is shown anyway would be the same prompt under another id.
    """
    if tuple(demos) == policy.demos:
        return policy
    return policy.patched({"few_shot": {"examples": [demo.to_json() for demo in demos]}})


def teacher_policy(search: Search) -> Policy:
    """Return the policy that makes demos: the base, on the teacher's model where there is one."""
    return search.base if search.teacher is None else search.base.on_model(search.teacher)


@dataclass
class DemoSetBuild:
    """One demo set in the making.

    Args:
        teacher: answers; its own demo of a row is left out while it answers that row.
        rows: looked at in this order.
        wanted: answers that are to pass, at least 0.
        threshold: least reward that passes.
        max_rounds: samples of a row before it is given up.

    Attributes:
        passed: row and output, in the order of the rows.
        tried: rollouts run.
    """

    teacher: Policy
    rows: Sequence[Row]
    wanted: int
    threshold: float = 1.0
    max_rounds: int = 1
    passed: dict[str, Demo] = field(default_factory=dict)
    tried: int = 0
    _next: int = 0
    _chunk: list[Row] = field(default_factory=list)
    _round: int = 0

    def tasks(self) -> list[tuple[Candidate, Row, int]]:
        """Return what to run next; empty when the set is done.

        As many rows as answers are still missing: a run row after row would look at each of them
        in any case.
        """
        if not self._chunk:
            missing = self.wanted - len(self.passed)
            self._chunk = list(self.rows[self._next : self._next + missing])
            self._next += len(self._chunk)
            self._round = 0
        return [(self._candidate(row), row, self._round) for row in self._chunk]

    def absorb(self, engine: Engine) -> None:
        """Take the cells of :meth:`tasks` and keep what passed; an outage is no answer at all."""
        failed: list[Row] = []
        for candidate, row, rollout in self.tasks():
            cell = engine.matrix.get(candidate.id, row, rollout)
            self.tried += 1
            if (
                cell is not None
                and cell.reward is not None
                and cell.output is not None
                and cell.reward >= self.threshold - TIE
            ):
                self.passed[row.id] = Demo(
                    id=row.id, input=row.input, output=cell.output, source="bootstrapped"
                )
            else:
                failed.append(row)
        self._round += 1
        self._chunk = failed if self._round < self.max_rounds else []

    def demos(self) -> tuple[Demo, ...]:
        """Return what passed, in the order in which the rows were looked at."""
        return tuple(self.passed[row.id] for row in self.rows if row.id in self.passed)

    def _candidate(self, row: Row) -> Candidate:
        others = [demo for demo in self.teacher.demos if demo.id != row.id]
        policy = with_demos(self.teacher, others)
        if self._round > 0:
            policy = policy.at_temperature(RETRY_TEMPERATURE)
        return Candidate.of(policy)


async def bootstrap(search: Search, builds: Sequence[DemoSetBuild], *, label: str) -> None:
    """Run the builds to their ends, side by side.

    Raises:
        BudgetStopError: the next rollouts do not fit; none of them was started.
    """
    while True:
        tasks = [task for build in builds for task in build.tasks()]
        if not tasks:
            return
        await search.engine.evaluate_many(tasks, label=label)
        if search.teacher is not None:
            _note_teacher(search, tasks)
        for build in builds:
            build.absorb(search.engine)


def _note_teacher(search: Search, tasks: Sequence[tuple[Candidate, Row, int]]) -> None:
    """Write down which model answered as the teacher."""
    for candidate, row, rollout in tasks:
        cell = search.engine.matrix.get(candidate.id, row, rollout)
        if cell is not None and cell.served_model:
            search.log.served.setdefault("teacher", set()).add(cell.served_model)


def fill(
    policy: Policy, bootstrapped: Sequence[Demo], rows: Sequence[Row], size: int, draw: Random
) -> tuple[Demo, ...]:
    """Return the bootstrapped demos, and drawn labelled rows in the slots left up to ``size``."""
    taken = {demo.id for demo in bootstrapped}
    free = [row for row in rows if row.id not in taken]
    return (
        *bootstrapped,
        *labelled_demos(policy, free, max(0, size - len(bootstrapped)), draw),
    )


def _labelled(row: Row) -> Demo:
    return Demo(id=row.id, input=row.input, output=row.expected, source="labelled")
