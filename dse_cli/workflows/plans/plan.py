"""The plan of a compile: what it asks at most, what it is likely to ask, and where it would stop.

The worst case counts every cell as if none were shared and every text as long as it may be. What is
expected comes from a rehearsal. Both are printed, and held against the budget, before anything is
spent; what a run may spend is decided by its ledger alone, batch by batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.lm import NANO
from dse_cli.evaluation.ledger import Bound, BudgetStopError, Ledger
from dse_cli.lm.disk_cache import known_keys
from dse_cli.workflows.compiles.compile_search import find_optimizer, floor_of, start_search
from dse_cli.workflows.plans.plan_bounds import bound_within, whole_bound
from dse_cli.workflows.plans.rehearsal import MOST_CELLS, Rehearsed, TooLargeError, rehearse
from dse_cli.workflows.session import RunOptions, open_session

if TYPE_CHECKING:
    from dse_cli.evaluation.engine import Engine
    from dse_cli.optimizers.search import SearchPlan
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.plans.rehearsal import Batch

#: Limits on work, with the attribute of a bound that each is held against.
LIMITS: Final = {
    "max_metric_calls": "metric_calls",
    "max_lm_calls": "lm_calls",
    "max_tokens": "tokens",
    "max_cost_usd": "cost_nano_usd",
}


@dataclass(frozen=True)
class Expected:
    """What a rehearsal of the search came to, up to where the budget is expected to end it.

    Attributes:
        metric_calls: distinct cells.
        lm_calls: model calls with no repair, those of judges and of the proposer among them.
        queries: of those, questions to the proposer.
        tokens: about; four bytes a token, answers as long as the labels of the rows. Judges apart.
        paid_calls: of the calls, how many neither share a request nor are in the disk cache.
        evaluations: batches of cells, also those that the budget does not cover.
    """

    metric_calls: int
    lm_calls: int
    queries: int
    tokens: int | None
    paid_calls: int
    evaluations: int

    def to_json(self) -> dict[str, Any]:
        return {
            "metric_calls": self.metric_calls,
            "lm_calls": self.lm_calls,
            "queries": self.queries,
            "tokens": self.tokens,
            "paid_calls": self.paid_calls,
            "evaluations": self.evaluations,
        }


@dataclass(frozen=True)
class Shortage:
    """A limit that the worst case is over.

    Attributes:
        limit: its name.
        allowed, needed: in its own unit (dollars for ``max_cost_usd``); None is not bounded.
    """

    limit: str
    allowed: float
    needed: float | None

    def to_json(self) -> dict[str, Any]:
        return {"limit": self.limit, "allowed": self.allowed, "needed": self.needed}


@dataclass(frozen=True)
class Stop:
    """Where the budget is expected to end the search.

    Attributes:
        limit: which limit.
        batch: the first that does not start, from 0.
        evaluation: the same, counted in evaluations, from 1; None when questions do not fit.
        label: of that batch.
    """

    limit: str
    batch: int
    evaluation: int | None
    label: str

    def to_json(self) -> dict[str, Any]:
        return {
            "limit": self.limit,
            "batch": self.batch,
            "evaluation": self.evaluation,
            "label": self.label,
        }


@dataclass(frozen=True)
class Plan:
    """What a compile may cost, before anything is spent.

    Attributes:
        candidates: most candidates evaluated.
        selecting: hashes of the rows of val that select.
        queries: most questions that the search itself asks.
        whole: upper bound of the search without a budget, repairs and longest answers included.
        most: the same within the budget.
        floor: what one pass of the base over the selecting rows may need.
        covers_floor: whether the budget covers it; else the run will refuse to start.
        shortages: limits that ``whole`` is over.
        expected: of a rehearsal; None when there was none.
        unrehearsed: why not, in a sentence.
        stop: where the rehearsed search runs out of budget; None when it does not.
        asked: whom it asks them.
        share_covers: of the expected questions, how many the proposer's share of the budget is
            expected to cover; None without a share.
    """

    candidates: int
    selecting: frozenset[str]
    queries: int
    whole: Bound
    most: Bound
    floor: Bound
    covers_floor: bool
    shortages: tuple[Shortage, ...]
    expected: Expected | None
    unrehearsed: str = ""
    stop: Stop | None = None
    asked: str = "proposer"
    share_covers: int | None = None

    @property
    def rows(self) -> int:
        """Rows of val that select."""
        return len(self.selecting)

    @property
    def metric_calls(self) -> int:
        """Most cells within the budget."""
        return self.most.metric_calls

    def to_json(self) -> dict[str, Any]:
        return {
            "candidates": self.candidates,
            "val_rows": self.rows,
            "metric_calls": self.most.metric_calls,
            "lm_calls_at_most": self.most.lm_calls,
            "queries_at_most": self.queries,
            "tokens_at_most": self.most.tokens,
            "cost_nano_usd_at_most": self.most.cost_nano_usd,
            "without_budget": _bound_json(self.whole),
            "floor": {
                "metric_calls": self.floor.metric_calls,
                "lm_calls": self.floor.lm_calls,
                "tokens": self.floor.tokens,
            },
            "budget_covers_floor": self.covers_floor,
            "over_budget": [shortage.to_json() for shortage in self.shortages],
            "expected": None if self.expected is None else self.expected.to_json(),
            "not_rehearsed": self.unrehearsed or None,
            "proposer_share_covers": self.share_covers,
            "expected_stop": None if self.stop is None else self.stop.to_json(),
        }


async def plan_compile(inputs: JobInputs, options: RunOptions) -> Plan:
    """Plan a compile without a model call.

    Raises:
        SpecError: the job does not fit its optimizer.
        NothingSelectedError: there are no rows to search on.
    """
    registered, config = find_optimizer(inputs)
    async with open_session(
        inputs.catalog,
        inputs.reward,
        options,
        seed=inputs.job.seed,
        judges=inputs.judges,
        budget=inputs.job.budget,
    ) as session:
        engine = session.engine
        search = start_search(inputs, engine)
        most = registered.optimizer.plan(search, config)
        longest = await _longest(inputs, most)
        whole = whole_bound(search, most, longest)
        floor = floor_of(search, engine)
        usual, why = None, ""
        if most.metric_calls <= MOST_CELLS * 4:
            try:
                usual = await rehearse(inputs, bounds=_needed(engine))
            except TooLargeError:
                why = f"it evaluates more than {MOST_CELLS} cells"
        else:
            why = f"it may evaluate {most.metric_calls} cells"
    shortages = tuple(_shortages(inputs, whole))
    stop = None if usual is None else _stop(inputs, usual.batches)
    return Plan(
        candidates=most.candidates,
        selecting=frozenset(row.hash for row in search.val),
        queries=most.queries,
        whole=whole,
        most=bound_within(inputs.job.budget, search, most, whole),
        floor=floor,
        covers_floor=_covers(engine, floor),
        shortages=shortages,
        expected=None if usual is None else _expected(usual.batches, stop, options),
        unrehearsed=why,
        stop=stop,
        asked="proposer" if registered.optimizer.meta else "embedder",
        share_covers=None if usual is None else _share_covers(inputs, usual.batches),
    )


def _needed(engine: Engine) -> Engine | None:
    """Return the engine where some limit makes bounds worth knowing."""
    limits = engine.ledger.limits
    tight = (limits.max_lm_calls, limits.max_tokens, limits.max_cost_usd)
    return engine if any(limit is not None for limit in tight) else None


async def _longest(inputs: JobInputs, most: SearchPlan) -> Rehearsed | None:
    """Rehearse with texts as long as they may be, to see how long questions can become."""
    if not most.queries:
        return None
    try:
        return await rehearse(inputs, length="longest")
    except TooLargeError:
        return None


def _covers(engine: Engine, floor: Bound) -> bool:
    try:
        engine.ledger.check(floor, 0)
    except BudgetStopError:
        return False
    return True


def _shortages(inputs: JobInputs, whole: Bound) -> Iterator[Shortage]:
    for name, attribute in LIMITS.items():
        limit = getattr(inputs.job.budget, name)
        if limit is None:
            continue
        unit = NANO if name == "max_cost_usd" else 1
        needed = getattr(whole, attribute)
        if needed is None or needed > limit * unit:
            yield Shortage(name, limit, None if needed is None else needed / unit)


def _expected(batches: Sequence[Batch], stop: Stop | None, options: RunOptions) -> Expected:
    """Count a rehearsal; what shares a request, or is in the cache, is paid once or not at all."""
    done = batches if stop is None else batches[: stop.batch]
    charged = sum((batch.usual for batch in done), Bound())
    keys = {key for batch in done for key in batch.keys}
    cached = known_keys(options.cache, sorted(keys)) if options.cache is not None else set()
    # Cells whose answers are known had their judges asked in the same run.
    judged = sum(batch.judged for batch in done if not cached.issuperset(batch.keys))
    return Expected(
        metric_calls=charged.metric_calls,
        lm_calls=charged.lm_calls,
        queries=sum(batch.questions for batch in done),
        tokens=charged.tokens,
        paid_calls=len(keys - cached) + judged,
        evaluations=sum(batch.cells > 0 for batch in batches),
    )


def _stop(inputs: JobInputs, batches: Sequence[Batch]) -> Stop | None:
    """Return the first rehearsed batch that would not fit what the batches before it left.

    The proposer's share is not looked at: where it ends, the search goes on without proposals.
    """
    limits = inputs.job.budget
    ledger = Ledger(limits.model_copy(update={"proposer_share": None, "max_time_s": None}))
    evaluations = 0
    for number, batch in enumerate(batches):
        evaluations += batch.cells > 0
        needed = Bound(batch.cells, batch.bound.lm_calls, batch.bound.tokens,
                       batch.bound.cost_nano_usd)  # fmt: skip
        try:
            ledger.check(needed, number)
        except BudgetStopError as reached:
            evaluation = evaluations if batch.cells else None
            return Stop(reached.budget, number, evaluation, batch.label)
        ledger.metric_calls += batch.cells
        ledger.lm_calls += batch.usual.lm_calls
        ledger.tokens = (ledger.tokens or 0) + (batch.usual.tokens or 0)
        ledger.cost_nano_usd = (ledger.cost_nano_usd or 0) + _usual_cost(batch)
    return None


def _share_covers(inputs: JobInputs, batches: Sequence[Batch]) -> int | None:
    """Return how many questions fit the proposer's share, one after the other."""
    share = Ledger(inputs.job.budget).proposer
    if share is None:
        return None
    asked = 0
    for batch in batches:
        for _ in range(batch.questions):
            part = Fraction(1, batch.questions)
            try:
                share.check(_part(batch.bound, part), 0)
            except BudgetStopError:
                break
            asked += 1
            usual = _part(batch.usual, part)
            share.lm_calls += usual.lm_calls
            share.tokens = (share.tokens or 0) + (usual.tokens or 0)
            share.cost_nano_usd = (share.cost_nano_usd or 0) + int(_usual_cost(batch) * part)
    return asked


def _part(bound: Bound, part: Fraction) -> Bound:
    """Return about a part of a bound, rounded up."""

    def of(value: int) -> int:
        return math.ceil(value * part)

    tokens, cost = bound.tokens, bound.cost_nano_usd
    return Bound(
        0,
        of(bound.lm_calls),
        None if tokens is None else of(tokens),
        None if cost is None else of(cost),
    )


def _usual_cost(batch: Batch) -> int:
    """Return about what a batch costs: its share of tokens of what it could cost at most."""
    bound, usual = batch.bound, batch.usual
    if not bound.tokens or bound.cost_nano_usd is None or usual.tokens is None:
        return 0
    return bound.cost_nano_usd * usual.tokens // bound.tokens


def _bound_json(bound: Bound) -> dict[str, Any]:
    return {
        "metric_calls": bound.metric_calls,
        "lm_calls": bound.lm_calls,
        "tokens": bound.tokens,
        "cost_nano_usd": bound.cost_nano_usd,
    }
