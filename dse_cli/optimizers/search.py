"""What an optimizer works with, and what it must offer."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

from dse_cli.contracts.base import Contract
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.archive import Archive, Entry
from dse_cli.optimizers.search_log import SearchLog

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.job import SearchSpace
    from dse_cli.contracts.meta import MetaName
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
        meta: the meta-signatures that the optimizer asks, each on the proposer's model.
        teacher: resolved model that makes bootstrapped demos; the base's own when None.
        log: proposals, demo sets and trials, for the receipt.
        embedder: resolved model that embeds inputs; None where none was named.
    """

    engine: Engine
    base: Policy
    train: Sequence[Row]
    val: Sequence[Row]
    space: SearchSpace
    seed: int
    archive: Archive
    meta: Mapping[MetaName, Policy] = field(default_factory=dict)
    teacher: str | None = None
    log: SearchLog = field(default_factory=SearchLog)
    embedder: str | None = None

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
        meta: Mapping[MetaName, Policy] | None = None,
        teacher: str | None = None,
        embedder: str | None = None,
    ) -> Search:
        """Return a search with an empty archive."""
        archive = Archive(engine.matrix, val)
        return cls(
            engine,
            base,
            train,
            val,
            space,
            seed,
            archive,
            meta or {},
            teacher,
            embedder=embedder,
        )

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


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """What a search evaluates and asks at most, before anything is spent.

    Attributes:
        candidates: distinct candidates.
        metric_calls: cells, counted as if none were ever shared.
        queries: questions to the proposer.
        texts: texts of the proposer that the instruction of one candidate may hold.
        demos: demos that one candidate may show besides those of the search space.
    """

    candidates: int
    metric_calls: int
    queries: int = 0
    texts: int = 1
    demos: int = 0


@dataclass(frozen=True, slots=True)
class SettingProblem:
    """A setting that cannot be kept on the rows that there are.

    Attributes:
        setting: its name, as spelled under ``optimizer.config``.
        message, hint: what is wrong, and what to do.
    """

    setting: str
    message: str
    hint: str = ""


class Optimizer(Protocol[ConfigT_contra]):
    """A search algorithm, by id. Subclass it: what has a default here is an algorithm's usual case.

    Attributes:
        id: names the algorithm, with its version.
        revision: raised on any change of behaviour under the same id.
        searches: the parts of the search space that it varies; other parts are refused.
        needs_space: whether it has nothing to do without one of those parts.
        meta: the meta-signatures that it asks.
        teaches: whether it bootstraps demos, so that a teacher has something to do.
        embeds: whether it selects demos by likeness, and so needs an embedder.
        libraries: distributions whose version decides what it does; they go into the receipt.
    """

    id: ClassVar[str]
    revision: ClassVar[int]
    searches: ClassVar[frozenset[str]]
    needs_space: ClassVar[bool] = True
    meta: ClassVar[tuple[MetaName, ...]] = ()
    teaches: ClassVar[bool] = False
    embeds: ClassVar[bool] = False
    libraries: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    async def search(self, search: Search, config: ConfigT_contra) -> None:
        """Fill ``search.archive``; a ``BudgetStopError`` may leave at any evaluation."""
        ...

    @abstractmethod
    def most_candidates(self, search: Search, config: ConfigT_contra) -> int:
        """Return the most candidates a run can make, for the plan."""
        ...

    def plan(self, search: Search, config: ConfigT_contra) -> SearchPlan:
        """Return what a run does at most; here every candidate is evaluated on all of val."""
        candidates = self.most_candidates(search, config)
        return SearchPlan(candidates, candidates * len(search.val))

    def selection(self, val: Sequence[Row], config: ConfigT_contra, seed: int) -> Sequence[Row]:
        """Return the rows of val that select; here all of them."""
        return val

    def problems(self, config: ConfigT_contra, *, train: int, val: int) -> Sequence[SettingProblem]:
        """Return what is wrong with the settings for so many rows; nothing was spent yet."""
        return ()


@dataclass(frozen=True, slots=True)
class Registered(Generic[ConfigT]):
    """An optimizer with the contract of its settings."""

    optimizer: Optimizer[ConfigT]
    config: type[ConfigT]

    def parse(self, config: dict[str, Any]) -> ConfigT:
        """Check settings as written in ``compile.yaml``."""
        return self.config.model_validate(config)
