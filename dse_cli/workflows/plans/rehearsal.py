"""A rehearsal: the very optimizer of a job, run on made-up answers, to see how much it would ask.

Upper bounds count every cell as if none were shared, and every demo as if it never passed. What a
search really does depends on what it sees: a cell that it has is not asked again, a candidate that
races is dropped, a set of demos is full. So the optimizer runs once with rewards and proposals that
are drawn from the seed, without a model and without a budget, and its questions are counted. It is
a guess about a search, never evidence about a policy: nothing of it is written anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from dse_cli.canonical import canonical_bytes
from dse_cli.contracts.evaluation import Cell, CellUsage, Failure, SignalScore
from dse_cli.contracts.job import CompileBudget
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.engine import Engine, SilentObserver
from dse_cli.evaluation.executor import LocalExecutor
from dse_cli.evaluation.ledger import Bound, Ledger
from dse_cli.evaluation.seeds import substream, unit_draw
from dse_cli.lm.lexical import lexical_response
from dse_cli.runtime.direct import BYTES_PER_TOKEN, DirectPredictor
from dse_cli.runtime.embedding import embedded
from dse_cli.runtime.prediction import Prediction
from dse_cli.workflows.compiles.compile_search import find_optimizer, start_search
from dse_cli.workflows.plans.made_up import USUAL_TEXT, made_up

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.evaluation.executor import CellTask
    from dse_cli.evaluation.query import Query
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy
    from dse_cli.workflows.inputs import JobInputs

#: A search that may evaluate more cells than this is not rehearsed: a plan must come at once.
MOST_CELLS: Final = 20_000
#: Of a reward, how much is the row's own: candidates of one search mostly fail on the same rows.
ROW_SHARE: Final = 0.6

#: How long made-up texts are: as usual, or as long as the model may write.
Length = Literal["usual", "longest"]


@dataclass(frozen=True)
class Batch:
    """One batch that the optimizer asked for.

    Attributes:
        label: as progress shows it.
        cells: new cells, 0 for questions to the proposer.
        questions: to the proposer, 0 for cells.
        bound: what it cannot exceed; zeros where nobody asked for bounds.
        usual: what it is likely to be charged.
        keys: of its requests, repairs and those of judges apart.
        judged: questions to the judges of its cells.
    """

    label: str
    cells: int
    questions: int
    bound: Bound
    usual: Bound
    keys: tuple[str, ...] = ()
    judged: int = 0


@dataclass
class Rehearsed:
    """What an optimizer did without a model.

    Attributes:
        search: as it ended.
        batches: in order.
        questions: that the search itself asked.
    """

    search: Search
    batches: list[Batch] = field(default_factory=list)
    questions: list[Query] = field(default_factory=list)


class TooLargeError(Exception):
    """The search asks for more cells than a rehearsal evaluates."""


async def rehearse(
    inputs: JobInputs,
    *,
    length: Length = "usual",
    bounds: Engine | None = None,
    most_cells: int = MOST_CELLS,
) -> Rehearsed:
    """Run the optimizer of a job without a model and without a budget.

    Args:
        length: of what proposers write.
        bounds: the engine that knows what each batch cannot exceed; None leaves bounds out.
        most_cells: give up beyond so many.

    Raises:
        TooLargeError: it is not over after ``most_cells``.
        SpecError, NothingSelectedError: the job does not fit its optimizer.
    """
    registered, config = find_optimizer(inputs)
    runner = _Runner(inputs, length, counts=length == "usual")
    executor = _Executor(runner, bounds, most_cells)
    engine = Engine(executor, runner, Ledger(CompileBudget()), observer=executor)
    search = start_search(inputs, engine)
    executor.rehearsed = runner.rehearsed = Rehearsed(search)
    await registered.optimizer.search(search, config)
    return executor.rehearsed


class _Executor(LocalExecutor, SilentObserver):
    """Runs batches one cell after the other, and writes down how large each was."""

    rehearsed: Rehearsed

    def __init__(self, runner: _Runner, bounds: Engine | None, most_cells: int) -> None:
        super().__init__(runner, 1)
        self._made_up = runner
        self._bounds = bounds
        self._left = most_cells
        self._label = ""

    def batch_started(self, label: str, cells: int) -> None:
        """Keep the label: the batch that follows is of this name."""
        self._label = label

    def queries_started(self, label: str, count: int) -> None:
        """Keep the label."""
        self._label = label

    async def run(self, tasks: Sequence[CellTask], on_cell: Callable[[Cell], None]) -> list[Cell]:
        self._left -= len(tasks)
        if self._left < 0:
            raise TooLargeError
        cells = await super().run(tasks, on_cell)
        bound = Bound()
        if self._bounds is not None:
            known = self._bounds
            bound = sum((known.bound(task.candidate, task.row) for task in tasks), Bound())
        charged = sum((_charged(cell) for cell in cells), Bound())
        keys = self._made_up.asked_keys()
        judged = sum(cell.judging.lm_calls for cell in cells)
        self._add(Batch(self._label, len(tasks), 0, bound, charged, keys, judged))
        return cells

    async def ask(self, queries: Sequence[Query]) -> list[Prediction]:
        answers = await super().ask(queries)
        bound = Bound()
        if self._bounds is not None:
            bound = sum(map(self._bounds.query_bound, queries), Bound())
        charged = sum((_used(answer.usage) for answer in answers), Bound())
        keys = self._made_up.asked_keys()
        self._add(Batch(self._label, 0, len(queries), bound, charged, keys))
        return answers

    def _add(self, batch: Batch) -> None:
        self.rehearsed.batches.append(batch)


class _Runner:
    """Makes up cells and answers; looks at the first request of each, and sends none.

    Args:
        counts: whether requests are made at all, to count distinct ones and their length.
    """

    rehearsed: Rehearsed

    def __init__(self, inputs: JobInputs, length: Length, *, counts: bool) -> None:
        self._inputs = inputs
        self._seed = inputs.job.seed
        self._longest = length == "longest"
        self._counts = counts
        self._judges = sum(len(judge.questions) for judge in inputs.judges)
        self._outputs = _Outputs(inputs)
        self._predictors: dict[str, DirectPredictor] = {}
        self._nobody = _Nobody()

    def asked_keys(self) -> tuple[str, ...]:
        """Return the keys of the requests since this was asked last."""
        return self._nobody.take()

    async def run(self, task: CellTask) -> Cell:
        """Return a cell with a drawn reward, and the row's own answer as its output."""
        policy, row = task.candidate.main, task.row
        output, size = self._outputs.of(row)
        request = await self._first_request(policy, row.input, task.path, task.rollout)
        reward = self._reward(task)
        wrong = "made up: this answer is wrong"
        return Cell(
            candidate=task.candidate.id,
            example=row.id,
            example_hash=row.hash,
            rollout=task.rollout,
            reward=reward,
            signals=(SignalScore("rehearsal", reward, "" if reward == 1.0 else wrong),),
            output=output,
            failures=() if reward == 1.0 else (Failure("mismatch", "rehearsal", wrong),),
            usage=self._usage(policy, request, size),
            judging=CellUsage(lm_calls=self._judges),
            scripted=True,
        )

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        """Return nothing: a rehearsal has no budget."""
        return Bound()

    async def answer(self, query: Query) -> Prediction:
        """Return a made-up answer of the right shape, another one for each question."""
        self.rehearsed.questions.append(query)
        if query.embedder is not None:
            identity = self._inputs.catalog.identify(query.embedder)
            return await embedded(self._nobody, identity, query.value, query.path)
        request = await self._first_request(query.policy, query.value, query.path, query.rollout)
        room = USUAL_TEXT
        if self._longest:
            cap = query.policy.sampling("main").max_tokens
            room = USUAL_TEXT if cap is None else BYTES_PER_TOKEN * cap
        draw = substream(self._seed, "rehearsal", query.path, str(query.rollout))
        output = made_up(query.policy.signature.output_schema, f"{draw.getrandbits(48):012x}", room)
        size = len(canonical_bytes(output))
        return Prediction(
            output=output, error=None, usage=self._usage(query.policy, request, size), scripted=True
        )

    def query_bound(self, query: Query) -> Bound:
        """Return nothing: a rehearsal has no budget."""
        return Bound()

    def _reward(self, task: CellTask) -> float:
        """Return 0 or 1: some rows are easy for all candidates, some candidates are better."""
        skill = 0.35 + 0.4 * unit_draw(self._seed, "rehearsal", "skill", task.candidate.id)
        ease = unit_draw(self._seed, "rehearsal", "row", task.row.hash)
        luck = unit_draw(
            self._seed, "rehearsal", "cell", task.candidate.id, task.row.hash, str(task.rollout)
        )
        return 1.0 if ROW_SHARE * ease + (1 - ROW_SHARE) * luck < skill else 0.0

    def _usage(self, policy: Policy, request: LmRequest | None, answer_bytes: int) -> CellUsage:
        calls = 1 if policy.selector is None else 2  # the input is embedded first
        if request is None:
            return CellUsage(lm_calls=calls)
        text = sum(len(message.content.encode()) for message in request.messages)
        completion = -(-answer_bytes // BYTES_PER_TOKEN)
        cap = policy.sampling("main").max_tokens
        completion = completion if cap is None else min(cap, completion)
        return CellUsage(calls, 0, -(-text // BYTES_PER_TOKEN), completion, None)

    async def _first_request(
        self, policy: Policy, value: Mapping[str, Any], path: str, rollout: int
    ) -> LmRequest | None:
        if not self._counts:
            return None
        predictor = self._predictors.get(policy.id)
        if predictor is None:
            predictor = DirectPredictor(policy, self._nobody, self._inputs.catalog.identify)
            self._predictors[policy.id] = predictor
        try:
            await predictor.predict(value, path=path, rollout=rollout)
        except _SeenError as seen:
            return seen.request
        return None


class _SeenError(Exception):
    """Carries the request that a predictor would have sent."""

    def __init__(self, request: LmRequest) -> None:
        super().__init__()
        self.request = request


class _Nobody:
    """A layer that answers nothing: who asks is stopped, and what it asked is known."""

    def __init__(self) -> None:
        self._keys: list[str] = []

    def take(self) -> tuple[str, ...]:
        """Return the keys that came, and forget them."""
        keys, self._keys = tuple(self._keys), []
        return keys

    async def complete(self, request: LmRequest) -> LmResponse:
        self._keys.append(request.key)
        if request.task == "embed":  # which demos are shown decides what is asked next
            return lexical_response(request)
        raise _SeenError(request)

    async def aclose(self) -> None:
        """Nothing to close."""


class _Outputs:
    """What a row is answered: its own expected output, or that of a row that has a fitting one."""

    def __init__(self, inputs: JobInputs) -> None:
        self._fits = inputs.signature.output_checker.fits
        rows = (*inputs.dataset.split("train"), *inputs.dataset.split("val"))
        self._other: dict[str, Any] = next(
            (row.expected for row in rows if self._fits(row.expected)), {}
        )
        self._known: dict[str, tuple[dict[str, Any], int]] = {}

    def of(self, row: Row) -> tuple[dict[str, Any], int]:
        """Return an output, and its size in bytes."""
        found = self._known.get(row.hash)
        if found is None:
            output = row.expected if self._fits(row.expected) else self._other
            found = (output, len(canonical_bytes(output)))
            self._known[row.hash] = found
        return found


def _charged(cell: Cell) -> Bound:
    own, judging = _used(cell.usage), _used(cell.judging)
    return Bound(1, own.lm_calls + judging.lm_calls, own.tokens, None)


def _used(usage: CellUsage) -> Bound:
    return Bound(0, usage.lm_calls, usage.total_tokens, None)
