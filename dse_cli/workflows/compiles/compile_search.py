"""The search of a compile: an optimizer on the engine, within the budget. Writes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dse_cli.contracts.artifact import StopReason
from dse_cli.contracts.errors import (
    BudgetExhaustedError,
    InfrastructureError,
    NothingSelectedError,
    SpecError,
)
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.ledger import Bound, BudgetStopError
from dse_cli.optimizers.fewshot_greedy_forward import demo_pool
from dse_cli.optimizers.knobs_grid import knob_problems
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.optimizers.search import PARTS, Search
from dse_cli.project.suggest import did_you_mean
from dse_cli.project.validate import explained
from dse_cli.workflows.compiles.embedder_checks import embedder_problems
from dse_cli.workflows.compiles.role_checks import role_problems

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dse_cli.contracts.base import Contract
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.contracts.job import CompileJob
    from dse_cli.evaluation.engine import Engine
    from dse_cli.optimizers.archive import Archive, Entry
    from dse_cli.optimizers.search import Registered
    from dse_cli.optimizers.search_log import SearchLog
    from dse_cli.project.yaml_document import YamlDocument
    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class SearchOutcome:
    """What a search came to.

    Attributes:
        winner, baseline: fully evaluated entries; they may be the same.
        winner_cells, baseline_cells: their cells on val, in row order.
        archive: every candidate.
        log: what else the search did.
        rows: the rows of val that selected.
        stop_reason: why it ended.
        charged: what the budgets counted.
    """

    winner: Entry
    baseline: Entry
    winner_cells: list[Cell]
    baseline_cells: list[Cell]
    archive: Archive
    log: SearchLog
    rows: Sequence[Row]
    stop_reason: StopReason
    charged: dict[str, int | None]


def find_optimizer(inputs: JobInputs) -> tuple[Registered[Any], Contract]:
    """Return the job's optimizer with its settings, checked.

    Raises:
        SpecError: unknown optimizer, wrong settings, or a part of the search space that this
            optimizer does not search.
    """
    document, job = inputs.job_document, inputs.job
    registered = known_optimizer(job, document)
    problems = []
    searches = registered.optimizer.searches
    for part in PARTS:
        if getattr(job.search_space, part) and part not in searches:
            message = f"{job.optimizer.id} does not search {part!r}"
            hint = f"remove it: what is searched is {', '.join(sorted(searches)) or 'nothing'}"
            problems.append(
                document.diagnostic(
                    ("search_space", part), "unused-search-space", message, hint, key=True
                )
            )
    needs = registered.optimizer.needs_space
    if needs and searches and not any(getattr(job.search_space, part) for part in searches):
        message = f"the search space has nothing for {job.optimizer.id} to search"
        hint = f"add to the job {' or '.join(f'search_space.{part}' for part in sorted(searches))}"
        problems.append(
            document.diagnostic(("optimizer", "id"), "empty-search-space", message, hint)
        )
    for knob in knob_problems(inputs.base, job.search_space):
        place = ("search_space", "knobs", knob.path, knob.position)
        problems.append(document.diagnostic(place, "bad-knob", knob.message))
    problems += role_problems(inputs, registered.optimizer)
    config: Contract | None = None
    try:
        config = registered.parse(job.optimizer.config)
    except ValidationError as error:
        settings = document.part(("optimizer", "config"), job.optimizer.config)
        for problem in explained(error, settings, registered.config):
            problems.append(replace(problem, code="bad-config"))
    else:
        problems += _setting_problems(inputs, registered, config)
        problems += embedder_problems(job, document, registered, config)
    if problems or config is None:
        raise SpecError(problems)
    return registered, config


def _setting_problems(
    inputs: JobInputs, registered: Registered[Any], config: Contract
) -> Iterator[Diagnostic]:
    """Yield what is wrong with settings that are right by themselves, for the rows there are."""
    train, val = inputs.dataset.split("train"), inputs.dataset.split("val")
    for problem in registered.optimizer.problems(config, train=len(train), val=len(val)):
        # A default that does not fit stands nowhere in the file: the optimizer is pointed at.
        written = problem.setting in inputs.job.optimizer.config
        place = ("config", problem.setting) if written else ("id",)
        yield inputs.job_document.diagnostic(
            ("optimizer", *place), "bad-config", problem.message, problem.hint, key=written
        )


def known_optimizer(job: CompileJob, document: YamlDocument) -> Registered[Any]:
    """Return the optimizer that a job names.

    Raises:
        SpecError: there is none of that name.
    """
    registered = OPTIMIZERS.get(job.optimizer.id)
    if registered is None:
        hint = did_you_mean(job.optimizer.id, sorted(OPTIMIZERS), otherwise="optimizers")
        message = f"there is no optimizer {job.optimizer.id!r}"
        raise SpecError(
            [document.diagnostic(("optimizer", "id"), "unknown-optimizer", message, hint)]
        )
    return registered


def start_search(inputs: JobInputs, engine: Engine) -> Search:
    """Return a search over train and val; the holdout is not passed on, so nothing can see it.

    Raises:
        NothingSelectedError: val is empty, or demos are searched and no train row can be one.
    """
    registered, config = find_optimizer(inputs)
    val = registered.optimizer.selection(inputs.rows("val"), config, inputs.job.seed)
    search = Search.start(
        engine,
        inputs.base,
        train=inputs.dataset.split("train"),
        val=val,
        space=inputs.job.search_space,
        seed=inputs.job.seed,
        meta={meta.name: meta.policy for meta in inputs.meta},
        teacher=inputs.models.get("teacher"),
        embedder=inputs.models.get("embedder"),
    )
    if registered.optimizer.teaches and not search.train:
        raise NothingSelectedError(
            f"{registered.optimizer.id} makes demos of train rows, and there are none",
            hint="give the dataset train rows",
        )
    if search.space.few_shot is not None and not demo_pool(search):
        raise NothingSelectedError(
            "no train row can be a demo",
            hint="give the dataset train rows, or loosen search_space.few_shot.tags",
        )
    return search


async def run_search(inputs: JobInputs, engine: Engine) -> SearchOutcome:
    """Run the job's optimizer until it is done or a budget ends it.

    Raises:
        BudgetExhaustedError: the budget does not even cover the base on val; the floor is named.
        InfrastructureError: too many outages; resumable.
    """
    registered, config = find_optimizer(inputs)
    search = start_search(inputs, engine)
    check_floor(search, engine)
    stop = StopReason(kind="complete")
    try:
        await registered.optimizer.search(search, config)
    except BudgetStopError as reached:
        stop = StopReason(kind=reached.budget, batch=reached.batch, detail=reached.detail)
    return _outcome(search, engine, stop)


def _outcome(search: Search, engine: Engine, stop: StopReason) -> SearchOutcome:
    entries = list(search.archive)
    baseline = entries[0] if entries else None
    winner = search.archive.best()
    if baseline is None or search.archive.mean(baseline) is None or winner is None:
        if stop.kind == "complete":
            raise InfrastructureError("no row of val has a score", hint="see the errors above")
        raise _below_floor(search, engine, stop.kind, stop.detail)
    return SearchOutcome(
        winner=winner,
        baseline=baseline,
        winner_cells=engine.matrix.cells(winner.candidate.id, search.val),
        baseline_cells=engine.matrix.cells(baseline.candidate.id, search.val),
        archive=search.archive,
        log=search.log,
        rows=search.val,
        stop_reason=stop,
        charged=engine.ledger.to_json(),
    )


def _limit(engine: Engine, kind: str) -> float:
    return float(getattr(engine.ledger.limits, kind) or 0)


def floor_of(search: Search, engine: Engine) -> Bound:
    """Return what one pass of the base over the selecting rows may need."""
    base = Candidate.of(search.base)
    return sum((engine.bound(base, row) for row in search.val), Bound())


def check_floor(search: Search, engine: Engine) -> None:
    """Make sure, before anything is spent, that the budget covers the floor.

    A search may ask a proposer before it measures the base: what it asked would be lost.

    Raises:
        BudgetExhaustedError: it does not; the floor is named.
    """
    try:
        engine.ledger.check(floor_of(search, engine), 0)
    except BudgetStopError as reached:
        raise _below_floor(search, engine, reached.budget, reached.detail) from None


def _below_floor(
    search: Search, engine: Engine, budget: str, detail: str | None
) -> BudgetExhaustedError:
    return BudgetExhaustedError(
        budget,
        _limit(engine, budget),
        _floor_number(search, engine, budget),
        hint=f"one pass of the base over the {len(search.val)} rows of val does not fit: {detail}",
    )


def _floor_number(search: Search, engine: Engine, kind: str) -> float:
    bound = floor_of(search, engine)
    needed = {
        "max_metric_calls": bound.metric_calls,
        "max_lm_calls": bound.lm_calls,
        "max_tokens": bound.tokens,
        "max_cost_usd": None if bound.cost_nano_usd is None else bound.cost_nano_usd / 1e9,
    }.get(kind)
    return float(needed) if needed is not None else _limit(engine, kind)
