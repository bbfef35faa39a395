"""What a SIMBA run writes down for its receipt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import short
from dse_cli.contracts.search_record import DemoSetRecord, ShownDemo

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search
    from dse_cli.optimizers.simba.buckets import Bucket, Thresholds
    from dse_cli.optimizers.simba.strategies import Draft, Program
    from dse_cli.runtime.policy import Policy


class SimbaLog:
    """Writes trials and demo sets; steps count from 1 here."""

    def __init__(self, search: Search) -> None:
        self._search = search

    def full(self, kind: str, entry: Entry, note: str = "") -> None:
        """Write down an evaluation on val."""
        mean = self._search.archive.mean(entry)
        self._search.log.trial(kind, entry, rows=len(self._search.val), mean=mean, note=note)

    def trajectories(self, step: int, buckets: Sequence[Bucket], temperature: float) -> None:
        """Write down the samples of a step, a trial for each program that was drawn.

        ``rows`` counts samples here: a program may be drawn several times on a row.
        """
        by_program: dict[str, tuple[Entry, list[float]]] = {}
        for bucket in buckets:
            for trajectory in bucket.trajectories:
                key = trajectory.entry.candidate.id
                _, rewards = by_program.setdefault(key, (trajectory.entry, []))
                rewards.append(trajectory.reward)
        for entry, rewards in by_program.values():
            self._search.log.trial(
                "trajectories",
                entry,
                rows=len(rewards),
                mean=math.fsum(rewards) / len(rewards),
                choice={"step": step + 1},
                note=f"samples at temperature {temperature:g}",
            )

    def minibatch(self, step: int, program: Program, rows: int, mean: float | None) -> None:
        """Write down a new program with how it was made."""
        draft = program.draft
        made: dict[str, Any] = {
            "step": step + 1,
            "source": short(draft.source.candidate.id),
            "dropped": draft.dropped,
            "strategy": draft.strategy,
            "row": draft.bucket.row.id,
        }
        note = "" if program.has_learned else "nothing to learn from this row"
        self._search.log.trial(
            "minibatch", program.entry, rows=rows, mean=mean, choice=made, note=note
        )

    def demos(self, step: int, draft: Draft, policy: Policy, levels: Thresholds) -> None:
        """Write down the demos of a program that was shown one more."""
        rewards = [trajectory.reward for trajectory in draft.bucket.trajectories]
        log = self._search.log
        log.demo_sets.append(
            DemoSetRecord(
                index=len(log.demo_sets),
                recipe=f"step {step + 1}, row {draft.bucket.row.id} appended",
                demos=tuple(
                    ShownDemo(source=demo.source, id=demo.id)
                    for demo in policy.demos
                    if demo.source in ("labelled", "bootstrapped")
                ),
                tried=len(rewards),
                passed=sum(reward > levels.low for reward in rewards),
            )
        )
