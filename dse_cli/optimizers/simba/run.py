"""The steps of one SIMBA run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.draws import choice
from dse_cli.optimizers.proposals.proposer import Proposal, Proposer
from dse_cli.optimizers.simba.buckets import (
    Bucket,
    Thresholds,
    Trajectory,
    by_interest,
    thresholds,
)
from dse_cli.optimizers.simba.log import SimbaLog
from dse_cli.optimizers.simba.pool import Member, Pool, draw_member
from dse_cli.optimizers.simba.schedule import (
    minibatch,
    programs_per_step,
    step_cells,
    winner_places,
)
from dse_cli.optimizers.simba.strategies import (
    Draft,
    Program,
    Strategy,
    advice_ask,
    drop_demos,
    with_demo,
    with_rule,
)

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search
    from dse_cli.optimizers.simba.simba import SimbaConfig
    from dse_cli.runtime.policy import Policy


class SimbaRun:
    """The pool and the winners between the steps; the base, measured on val, is in both.

    Steps are numbered from 0 and called 1, 2, 3 in what people read.
    """

    def __init__(self, search: Search, config: SimbaConfig, base: Entry) -> None:
        self._search = search
        self._config = config
        self._pool = Pool(base)
        self._winners = [base]
        self._variants: dict[tuple[str, bool], Candidate] = {}
        self._log = SimbaLog(search)
        self._proposer = Proposer(search, temperature=config.advice_temperature, stream="simba")
        self._log.full("base", base)

    async def step(self, step: int) -> None:
        """Sample trajectories, make programs of them, measure these, keep the best as winner."""
        batch = minibatch(self._search, self._config.bsize, step)
        self._reserve(len(batch))
        buckets = await self._trajectories(step, batch)
        if not buckets:
            return  # every sample was an outage, and the job allows that
        programs = await self._programs(step, by_interest(buckets), thresholds(buckets))
        members = await self._measure(step, programs, batch)
        self._pool.add(members)
        if members:
            self._winners.append(max(members, key=lambda member: member.score).entry)

    async def measure_winners(self) -> None:
        """Measure winners of the steps, spread over all of them, on val; the latest first."""
        places = winner_places(len(self._winners) - 1, self._config.num_candidates)
        for place in reversed(places):
            if place > 0:
                entry, label = self._winners[place], f"winner of step {place}"
                await self._search.engine.evaluate(entry.candidate, self._search.val, label=label)
                self._log.full("full", entry, label)

    def _reserve(self, rows: int) -> None:
        """Make sure that metric calls are left to measure the winners after this step.

        Raises:
            BudgetStopError: there are not; what a step finds could not be selected.
        """
        engine, val = self._search.engine, self._search.val
        places = winner_places(len(self._winners), self._config.num_candidates)
        # The last place is that of the winner to come; one measured in full needs nothing more.
        waiting = {self._winners[place].candidate.id for place in places[:-1]}
        finals = 1 + sum(not engine.matrix.covers(winner, val) for winner in waiting)
        needed = step_cells(self._config, rows) + finals * len(val)
        engine.ledger.check(Bound(metric_calls=needed), engine.batches)

    async def _trajectories(self, step: int, batch: Sequence[Row]) -> list[Bucket]:
        """Sample programs on each row; the buckets of rows with an answer, in batch order."""
        draw = self._draw(step, "trajectories")
        top = self._pool.top(self._config.num_candidates)
        drawn: list[tuple[Row, int, Member, Candidate]] = []
        for sample in range(self._config.num_candidates):
            for row in batch:
                able = [member for member in top if member.may_score(row)]
                member = draw_member(draw, able, self._config.temperature_for_sampling)
                drawn.append((row, sample, member, self._sampled(member.entry, sample)))
        await self._search.engine.evaluate_many(
            ((candidate, row, sample) for row, sample, _, candidate in drawn),
            label=f"step {step + 1}: trajectories",
        )
        found: dict[str, list[Trajectory]] = {row.id: [] for row in batch}
        for row, sample, member, candidate in drawn:
            cell = self._search.engine.matrix.get(candidate.id, row, sample)
            if cell is not None and cell.reward is not None:
                found[row.id].append(Trajectory(member.entry, cell, cell.reward))
        buckets = [Bucket(row, found[row.id]) for row in batch if found[row.id]]
        self._log.trajectories(step, buckets, self._config.rollout_temperature)
        return buckets

    def _sampled(self, entry: Entry, sample: int) -> Candidate:
        """Return a program as it is sampled: the first time by the teacher, where there is one."""
        teacher = self._search.teacher if sample == 0 else None
        key = (entry.candidate.id, teacher is None)
        if key not in self._variants:
            program = entry.candidate.main
            self._variants[key] = Candidate.of(
                program.at_temperature(self._config.rollout_temperature)
                if teacher is None
                else program.on_model(teacher)
            )
        return self._variants[key]

    async def _programs(
        self, step: int, buckets: Sequence[Bucket], levels: Thresholds
    ) -> list[Program]:
        """Return new programs, one a bucket, until there are enough or no bucket is left."""
        wanted = programs_per_step(self._config, len(buckets))
        programs: list[Program] = []
        place = 0
        while len(programs) < wanted and place < len(buckets):
            upto = min(place + wanted - len(programs), len(buckets))
            drafts = [self._draft(step, index, buckets[index]) for index in range(place, upto)]
            advice = await self._advice(step, drafts, levels)
            changed = (self._changed(step, draft, levels, advice) for draft in drafts)
            programs += [program for program in changed if program is not None]
            place = upto
        return programs

    def _draft(self, step: int, place: int, bucket: Bucket) -> Draft:
        draw = self._draw(step, "program", str(place))
        top = self._pool.top(self._config.num_candidates)
        member = draw_member(draw, top, self._config.temperature_for_candidates)
        source = member.entry.candidate.main
        policy = drop_demos(source, self._config.max_demos, draw)
        strategies: list[Strategy] = ["append_a_rule"]
        if self._config.max_demos > 0:
            strategies.insert(0, "append_a_demo")
        dropped = len(source.demos) - len(policy.demos)
        return Draft(place, bucket, member.entry, policy, dropped, choice(draw, strategies))

    async def _advice(
        self, step: int, drafts: Sequence[Draft], levels: Thresholds
    ) -> dict[int, Proposal | None]:
        """Ask for rules, by the place of the bucket; None where no usable answer came."""
        asks = {}
        for draft in drafts:
            where = f"simba/step={step + 1:03d}/bucket={draft.place:03d}"
            note = f"step {step + 1}, row {draft.bucket.row.id}"
            ask = advice_ask(draft, levels, where, note)
            if draft.strategy == "append_a_rule" and ask is not None:
                asks[draft.place] = ask
        first = len(self._search.log.proposals)
        texts = await self._proposer.texts(
            list(asks.values()), "advice", label=f"step {step + 1}: advice"
        )
        return {
            place: None if text is None else Proposal(text, asks[place], first + index)
            for index, (place, text) in enumerate(zip(asks, texts, strict=True))
        }

    def _changed(
        self,
        step: int,
        draft: Draft,
        levels: Thresholds,
        advice: dict[int, Proposal | None],
    ) -> Program | None:
        """Return the program that a draft becomes; None when its rule did not come.

        A bucket from which its strategy has nothing to learn leaves the draft as it is, less the
        demos that were dropped: that is a program too, as published.
        """
        if draft.strategy == "append_a_demo":
            policy = with_demo(draft, levels)
        elif draft.place not in advice:
            policy = None
        else:
            proposal = advice[draft.place]
            policy = None if proposal is None else with_rule(draft, proposal.text)
            if proposal is None or policy is None:
                return None
            self._proposer.made(proposal, Candidate.of(policy))
        program = self._added(step, draft, policy)
        if policy is not None and draft.strategy == "append_a_demo":
            self._log.demos(step, draft, policy, levels)
        return program

    def _added(self, step: int, draft: Draft, policy: Policy | None) -> Program:
        row = draft.bucket.row.id
        what = {"append_a_demo": f"demo {row}", "append_a_rule": f"rule from {row}"}
        word = what[draft.strategy] if policy is not None else f"{draft.dropped} demos dropped"
        candidate = Candidate.of(policy or draft.policy)
        origin = f"simba:step {step + 1}, {word}"
        entry = self._search.archive.add(candidate, origin, draft.source.candidate.id)
        return Program(draft, entry, has_learned=policy is not None)

    async def _measure(
        self, step: int, programs: Sequence[Program], batch: Sequence[Row]
    ) -> list[Member]:
        """Measure new programs on the rows of the minibatch that they do not show."""
        engine = self._search.engine
        rows = [
            [row for row in batch if row.id not in program.entry.candidate.shown]
            for program in programs
        ]
        await engine.evaluate_many(
            (
                (program.entry.candidate, row, 0)
                for program, own in zip(programs, rows, strict=True)
                for row in own
            ),
            label=f"step {step + 1}: programs",
        )
        members = []
        for program, own in zip(programs, rows, strict=True):
            mean = engine.matrix.mean(program.entry.candidate.id, own)
            self._log.minibatch(step, program, len(own), mean)
            members.append(Member(program.entry, mean))
        return members

    def _draw(self, step: int, *names: str) -> random.Random:
        return substream(self._search.seed, "simba", "step", str(step), *names)
