"""``copro.v1``: a model rewrites the instruction, then improves on its best attempts.

COPRO of DSPy (``dspy/teleprompt/copro_optimizer.py``): coordinate ascent over prompts. At depth 0
the proposer rewrites the authored instruction ``breadth - 1`` times; the authored one is the last
of the ``breadth``. At each later depth it is shown the best ``breadth`` attempts so far with their
scores, the best last, and writes ``breadth`` new ones. Each is measured on all of val.

Published COPRO also rewrites the words that open the answer. Our prompts have no such words: the
answer is one JSON object (docs/decisions/0015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from dse_cli.contracts.base import Contract
from dse_cli.contracts.meta import MetaName
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.proposals.grounding import program_text
from dse_cli.optimizers.proposals.proposer import Ask, Proposal, Proposer
from dse_cli.optimizers.search import Optimizer, SearchPlan

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.search import Search


class CoproConfig(Contract):
    """Settings, with the published defaults.

    Attributes:
        breadth: instructions per depth, at least 2.
        depth: rounds.
        init_temperature: of the proposer; higher is bolder. At 0 all proposals would be one.
    """

    breadth: Annotated[int, Field(ge=2, le=100)] = 10
    depth: Annotated[int, Field(ge=1, le=100)] = 3
    init_temperature: Annotated[float, Field(gt=0, le=2)] = 1.4


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An instruction with its mean reward on val."""

    entry: Entry
    mean: float

    @property
    def instruction(self) -> str:
        return self.entry.candidate.main.instruction


class Copro(Optimizer[CoproConfig]):
    """Propose, measure, propose from the best."""

    id: ClassVar[str] = "copro.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset()
    needs_space: ClassVar[bool] = False
    meta: ClassVar[tuple[MetaName, ...]] = ("rewrite_instruction", "improve_instruction")

    async def search(self, search: Search, config: CoproConfig) -> None:
        """Evaluate the base, then ``depth`` rounds of proposals."""
        proposer = Proposer(search, temperature=config.init_temperature, stream="copro")
        base = await search.try_base()
        authored = _measured(search, [base], "base")
        attempts: list[_Attempt] = []
        known = [search.base.instruction]
        for depth in range(config.depth):
            shown = best_attempts(attempts, config.breadth)
            asks = _first(search, config) if depth == 0 else _later(search, config, depth, shown)
            proposals = await proposer.instructions(
                asks, known=known, label=f"depth {depth}: proposals"
            )
            known += [proposal.text for proposal in proposals]
            parent = shown[-1].entry if shown else base
            for proposal in proposals:
                entry = await _try(search, proposer, proposal, parent, depth)
                attempts += _measured(search, [entry], "full")
            if depth == 0:
                attempts += authored

    def most_candidates(self, search: Search, config: CoproConfig) -> int:
        """Return ``breadth`` a depth, the base among the first."""
        return config.breadth * config.depth

    def plan(self, search: Search, config: CoproConfig) -> SearchPlan:
        """Return what a run does when no proposal is junk or known."""
        candidates = self.most_candidates(search, config)
        return SearchPlan(candidates, candidates * len(search.val), candidates - 1)


def best_attempts(attempts: Sequence[_Attempt], breadth: int) -> list[_Attempt]:
    """Return the best ``breadth`` attempts, the best last; of equals the earlier is the better."""
    ranked = sorted(attempts, key=lambda attempt: -attempt.mean)[:breadth]
    return ranked[::-1]


def attempt_text(instruction: str, mean: float) -> str:
    """Return an attempt as the proposer sees it: points of 100, then the instruction."""
    return f"{100 * mean:.1f}: {instruction}"


def _first(search: Search, config: CoproConfig) -> list[Ask]:
    value = {"basic_instruction": search.base.instruction, "program": program_text(search.base)}
    return [
        Ask("rewrite_instruction", value, f"copro/depth=00/instruction={index:03d}", "depth 0")
        for index in range(config.breadth - 1)
    ]


def _later(search: Search, config: CoproConfig, depth: int, shown: Sequence[_Attempt]) -> list[Ask]:
    value = {
        "attempts": [attempt_text(attempt.instruction, attempt.mean) for attempt in shown],
        "program": program_text(search.base),
    }
    place = f"copro/depth={depth:02d}"
    note = f"depth {depth}, {len(shown)} attempts shown"
    return [
        Ask("improve_instruction", value, f"{place}/instruction={index:03d}", note)
        for index in range(config.breadth)
    ]


async def _try(
    search: Search, proposer: Proposer, proposal: Proposal, parent: Entry, depth: int
) -> Entry:
    policy = search.base.patched({"instruction": {"text": proposal.text}})
    proposer.made(proposal, Candidate.of(policy))
    return await search.try_policy(policy, f"copro:depth {depth}", parent)


def _measured(search: Search, entries: Sequence[Entry], kind: str) -> list[_Attempt]:
    """Record evaluations, and return those that have a score."""
    attempts = []
    for entry in entries:
        mean = search.archive.mean(entry)
        search.log.trial(kind, entry, rows=len(search.val), mean=mean)
        if mean is not None:
            attempts.append(_Attempt(entry, mean))
    return attempts
