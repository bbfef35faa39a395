"""What an optimizer works with, and what it must offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from dse_cli.contracts.base import Contract
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.archive import Archive, Entry

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.job import SearchSpace
    from dse_cli.evaluation.engine import Engine
    from dse_cli.runtime.policy import Policy

ConfigT_contra = TypeVar("ConfigT_contra", bound=Contract, contravariant=True)
ConfigT = TypeVar("ConfigT", bound=Contract)

#: The parts of a search space, as spelled in ``compile.yaml``.
PARTS = ("instructions", "few_shot", "knobs")


@dataclass(frozen=True)
class Search:
    """One run of an optimizer.

    Attributes:
        engine: fills the score matrix within the budget.
        base: the policy to start from; always the first candidate.
        train: rows that may become demos.
        val: rows that select.
        space: what may vary.
        seed: the job's seed; draw from named sub-streams of it only.
        archive: every candidate made so far.
    """

    engine: Engine
    base: Policy
    train: Sequence[Row]
    val: Sequence[Row]
    space: SearchSpace
    seed: int
    archive: Archive

    @classmethod
    def start(
        cls,
        engine: Engine,
        base: Policy,
        *,
        train: Sequence[Row],
        val: Sequence[Row],
        space: SearchSpace,
        seed: int,
    ) -> Search:
        """Return a search with an empty archive."""
        return cls(engine, base, train, val, space, seed, Archive(engine.matrix, val))

    async def try_policy(self, policy: Policy, origin: str, parent: Entry | None) -> Entry:
        """Make a candidate of ``policy`` and evaluate it on all of val.

        Raises:
            BudgetStopError: the evaluation does not fit; the candidate stays without a score.
        """
        candidate = Candidate.of(policy)
        parent_id = None if parent is None else parent.candidate.id
        entry = self.archive.add(candidate, origin, parent_id)
        await self.engine.evaluate(candidate, self.val, label=origin)
        return entry

    async def try_base(self) -> Entry:
        """Evaluate the base, first and always."""
        return await self.try_policy(self.base, "base", None)


class Optimizer(Protocol[ConfigT_contra]):
    """A search algorithm, by id.

    Attributes:
        id: names the algorithm, with its version.
        revision: raised on any change of behaviour under the same id.
        searches: the parts of the search space that it varies; other parts are refused.
    """

    id: ClassVar[str]
    revision: ClassVar[int]
    searches: ClassVar[frozenset[str]]

    async def search(self, search: Search, config: ConfigT_contra) -> None:
        """Fill ``search.archive``; a ``BudgetStopError`` may leave at any evaluation."""
        ...

    def most_candidates(self, search: Search, config: ConfigT_contra) -> int:
        """Return the most candidates a run can evaluate, for the plan."""
        ...


@dataclass(frozen=True, slots=True)
class Registered(Generic[ConfigT]):
    """An optimizer with the contract of its settings."""

    optimizer: Optimizer[ConfigT]
    config: type[ConfigT]

    def parse(self, config: dict[str, Any]) -> ConfigT:
        """Check settings as written in ``compile.yaml``."""
        return self.config.model_validate(config)
