"""``instruction_propose.v1``: propose instructions, evaluate them, keep the best, repeat.

The first round asks for rewrites of the authored instruction, each with another tip. Each later
round runs the best instruction so far on a few train rows, shows the proposer what went wrong there
and which attempts scored what, and asks for better ones. It ends after ``patience`` rounds without
a gain, or when nothing is left to gain or to ask with.

This is our own loop and no published algorithm. It is the plainest member of the family that OPRO
(Yang et al. 2023, arXiv 2309.03409) and ProTeGi (Pryzant et al. 2023, arXiv 2305.03495) began:
attempts with their scores from the one, failures in words from the other. Failures are of train
rows: a val row that a proposer saw could no longer select.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from dse_cli.contracts.base import Contract
from dse_cli.contracts.meta import MetaName
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.archive import TIE
from dse_cli.optimizers.proposals.failure_text import failure_text
from dse_cli.optimizers.proposals.grounding import module_text, program_text, row_text
from dse_cli.optimizers.proposals.proposer import Ask, Proposal, Proposer
from dse_cli.optimizers.proposals.tips import TIPS
from dse_cli.optimizers.scheduling.rank import Proposed, most_calls, rank
from dse_cli.optimizers.scheduling.settings import SchedulerSpec
from dse_cli.optimizers.search import Optimizer, SearchPlan, SettingProblem

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search

#: Name of our sub-streams, and of our place among the questions.
STREAM = "instruction_propose"
#: Train rows that the first round shows as worked examples.
EXAMPLES = 3
#: Attempts that a later round shows, the best of all.
ATTEMPTS = 5


class InstructionProposeConfig(Contract):
    """Settings.

    Attributes:
        breadth: proposals asked for in a round.
        rounds: most rounds.
        patience: rounds without a gain that end the search.
        reflection_rows: train rows on which the best so far is run before a later round.
        failures: most failures of those that the proposer is shown.
        temperature: of the proposer. At 0 all proposals of a round could be one.
        scheduler: how the proposals of a round share the rows of val; each on all when absent.
    """

    breadth: Annotated[int, Field(ge=1, le=100)] = 4
    rounds: Annotated[int, Field(ge=1, le=100)] = 4
    patience: Annotated[int, Field(ge=1, le=100)] = 2
    reflection_rows: Annotated[int, Field(ge=1, le=1000)] = 12
    failures: Annotated[int, Field(ge=1, le=50)] = 5
    temperature: Annotated[float, Field(gt=0, le=2)] = 1.0
    scheduler: SchedulerSpec | None = None


class InstructionPropose(Optimizer[InstructionProposeConfig]):
    """Propose, evaluate, select; repeat with the failures of the best."""

    id: ClassVar[str] = "instruction_propose.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset()
    needs_space: ClassVar[bool] = False
    meta: ClassVar[tuple[MetaName, ...]] = ("propose_instruction", "refine_instruction")

    async def search(self, search: Search, config: InstructionProposeConfig) -> None:
        """Run rounds until patience, the rounds, or what could be gained is used up."""
        run = _Run(search, config)
        best = await search.try_base()
        run.note("base", best)
        without_gain = 0
        for number in range(config.rounds):
            if _is_perfect(search, best):
                break
            found = await run.round(number, best)
            if found is not None and search.archive.is_better(found, best):
                best, without_gain = found, 0
            else:
                without_gain += 1
            # What a next round runs the best on would be shown to nobody.
            if without_gain >= config.patience or run.is_proposer_spent:
                break

    def most_candidates(self, search: Search, config: InstructionProposeConfig) -> int:
        """Return base, and every proposal of every round."""
        return 1 + config.rounds * config.breadth

    def plan(self, search: Search, config: InstructionProposeConfig) -> SearchPlan:
        """Return what a run does when no proposal is junk and each round gains."""
        val, reflected = len(search.val), min(config.reflection_rows, len(search.train))
        ranked = config.rounds * most_calls(config.breadth, val, config.scheduler)
        return SearchPlan(
            candidates=self.most_candidates(search, config),
            metric_calls=val + ranked + (config.rounds - 1) * reflected,
            queries=config.rounds * config.breadth,
        )

    def problems(
        self, config: InstructionProposeConfig, *, train: int, val: int
    ) -> list[SettingProblem]:
        """Refuse what is set and could have no effect; a default that is too high does no harm."""
        written = config.model_fields_set
        if "patience" in written and config.patience > config.rounds:
            message = f"patience {config.patience} is more than the rounds, {config.rounds}"
            return [SettingProblem("patience", message, "lower it, or raise rounds")]
        if "failures" in written and config.failures > config.reflection_rows:
            message = f"{config.reflection_rows} rows cannot have {config.failures} failures"
            return [SettingProblem("failures", message, "lower it, or raise reflection_rows")]
        return []


class _Run:
    """The steps of one search."""

    def __init__(self, search: Search, config: InstructionProposeConfig) -> None:
        self._search = search
        self._config = config
        self._proposer = Proposer(search, temperature=config.temperature, stream=STREAM)
        self._known = [search.base.instruction]

    @property
    def is_proposer_spent(self) -> bool:
        """Whether the proposer's share did not cover the questions of the last round."""
        return self._proposer.exhausted

    async def round(self, number: int, best: Entry) -> Entry | None:
        """Return the best new entry of a round; None when no proposal was of use."""
        failures = await self._failures(number, best) if number else []
        asks = self._refine(number, best, failures) if failures else self._propose(number, best)
        label = f"round {number + 1}: proposals"
        proposals = await self._proposer.instructions(asks, known=self._known, label=label)
        self._known += [proposal.text for proposal in proposals]
        proposed = [self._proposed(number, proposal, best) for proposal in proposals]
        for proposal, made in zip(proposals, proposed, strict=True):
            self._proposer.made(proposal, Candidate.of(made.policy))
        found = await rank(self._search, proposed, self._config.scheduler)
        self._note_round(proposed)
        return found

    def note(self, kind: str, entry: Entry) -> None:
        """Write down an evaluation on all of val."""
        mean = self._search.archive.mean(entry)
        self._search.log.trial(kind, entry, rows=len(self._search.val), mean=mean)

    async def _failures(self, number: int, best: Entry) -> list[str]:
        """Run the best on a few train rows, and return what went wrong there."""
        search = self._search
        count = min(self._config.reflection_rows, len(search.train))
        draw = substream(search.seed, STREAM, "reflection", str(number))
        rows = draw.sample(sorted(search.train, key=lambda row: row.id), count)
        usable = [row for row in rows if row.id not in best.candidate.shown]
        if not usable:
            return []
        label = f"round {number + 1}: failures of the best"
        cells = await search.engine.evaluate(best.candidate, usable, label=label)
        mean = search.engine.matrix.mean(best.candidate.id, usable)
        search.log.trial("reflection", best, rows=len(usable), mean=mean)
        # An outage says nothing about the instruction.
        failed = [
            failure_text(row, cell)
            for row, cell in zip(usable, cells, strict=True)
            if cell.reward is not None and cell.reward < 1 - TIE
        ]
        return failed[: self._config.failures]

    def _propose(self, number: int, best: Entry) -> list[Ask]:
        """Ask for rewrites, each with another tip."""
        policy, names = best.candidate.main, [*TIPS]
        value: dict[str, Any] = {
            "dataset_summary": "",
            "program": program_text(policy),
            "program_description": policy.signature.spec.description,
            "module": module_text(policy),
            "module_description": "",
            "task_demos": [row_text(row) for row in self._examples(number)],
            "basic_instruction": policy.instruction,
            "previous_instructions": [text for text in self._known if text != policy.instruction],
        }
        asks = []
        for index in range(self._config.breadth):
            tip = names[(number + index) % len(names)]
            asked = {**value, "tip": TIPS[tip]}
            asks.append(Ask("propose_instruction", asked, _place(number, index), f"tip {tip}"))
        return asks

    def _refine(self, number: int, best: Entry, failures: Sequence[str]) -> list[Ask]:
        """Ask for rewrites that would not fail like the best does."""
        policy = best.candidate.main
        value = {
            "program": program_text(policy),
            "basic_instruction": policy.instruction,
            "failures": list(failures),
            "attempts": self._attempts(best),
        }
        note = f"{len(failures)} failure{'' if len(failures) == 1 else 's'} shown"
        return [
            Ask("refine_instruction", value, _place(number, index), note)
            for index in range(self._config.breadth)
        ]

    def _attempts(self, best: Entry) -> list[str]:
        """Return the best other attempts as ``score: instruction``, the best last."""
        archive = self._search.archive
        scored = [
            (mean, entry)
            for entry in archive
            if entry is not best and (mean := archive.mean(entry)) is not None
        ]
        ranked = sorted(scored, key=lambda pair: (pair[0], pair[1].candidate.id))[-ATTEMPTS:]
        return [f"{100 * mean:.1f}: {entry.candidate.main.instruction}" for mean, entry in ranked]

    def _examples(self, number: int) -> list[Row]:
        rows = sorted(self._search.train, key=lambda row: row.id)
        draw = substream(self._search.seed, STREAM, "examples", str(number))
        return draw.sample(rows, min(EXAMPLES, len(rows)))

    def _proposed(self, number: int, proposal: Proposal, best: Entry) -> Proposed:
        index = int(proposal.ask.place.rpartition("=")[2])
        policy = self._search.base.patched({"instruction": {"text": proposal.text}})
        return Proposed(policy, f"round {number + 1}: instruction {index + 1}", best)

    def _note_round(self, proposed: Sequence[Proposed]) -> None:
        """Write down the full evaluations that no scheduler wrote down."""
        search = self._search
        noted = {trial.candidate for trial in search.log.trials if trial.kind == "full"}
        ids = {made.policy.id for made in proposed} - noted
        for entry in search.archive:
            if entry.candidate.id in ids and search.archive.mean(entry) is not None:
                self.note("full", entry)


def _place(number: int, index: int) -> str:
    return f"{STREAM}/round={number:02d}/instruction={index:03d}"


def _is_perfect(search: Search, entry: Entry) -> bool:
    mean = search.archive.mean(entry)
    return mean is not None and mean >= 1 - TIE
