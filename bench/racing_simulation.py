"""``python -m bench.racing_simulation``: does a race find the winner of the full grid, and cheaper?

Policies and rows are simulated; engine, archive and schedulers are the real ones. Each problem is a
table of rewards, candidates x rows of val. "Same winner" is strict: the very candidate that
``archive.best`` names when every cell is known, ties broken by its rule. Metric calls are a share
of that full grid, the base and the winner's full evaluation included.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell, CellUsage
from dse_cli.contracts.job import CompileBudget, SearchSpace
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.engine import Engine
from dse_cli.evaluation.executor import CellTask, LocalExecutor
from dse_cli.evaluation.ledger import Bound, Ledger
from dse_cli.evaluation.seeds import numpy_substream
from dse_cli.optimizers.scheduling.rank import Proposed, rank
from dse_cli.optimizers.scheduling.settings import RacingSpec, SchedulerSpec
from dse_cli.optimizers.search import Search
from dse_cli.runtime.policy import Policy, authored_policy

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from dse_cli.evaluation.query import Query
    from dse_cli.runtime.prediction import Prediction

    Rewards = NDArray[np.float64]
    Draws = np.random.Generator
    #: True qualities of so many candidates, between 0 and 1; the base is the first.
    Qualities = Callable[[Draws, int], Rewards]

#: The goal: the same winner in so many of 100 problems, for at most this share of the calls.
SAME: Final = 0.95
CALLS: Final = 0.40
#: Share of the variance of an outcome that is the row's: prompts agree on which rows are hard.
SHARED: Final = 0.6


class Problem(NamedTuple):
    """A kind of problem.

    Attributes:
        what: in words.
        variants: candidates besides the base.
        rows: of val.
        qualities: how good they truly are.
        shared: how much of an outcome is the row's.
        graded: rewards in tenths instead of right or wrong.
    """

    what: str
    variants: int
    rows: int
    qualities: Qualities
    shared: float = SHARED
    graded: bool = False


class Result(NamedTuple):
    """What became of the runs on one kind of problem.

    Attributes:
        same: share of runs with the winner of the full grid.
        calls: mean share of the metric calls of the full grid.
        regret: mean reward lost on val, in points.
    """

    same: float
    calls: float
    regret: float

    @property
    def reached(self) -> bool:
        return self.same >= SAME and self.calls <= CALLS


# --- problems ------------------------------------------------------------------------------------


def spread(deviation: float, mean: float = 0.65) -> Qualities:
    """Return qualities around a mean, the base's among them."""

    def draw(draws: Draws, count: int) -> Rewards:
        return np.clip(draws.normal(mean, deviation, count), 0.02, 0.98)

    return draw


def mostly_harmful(draws: Draws, count: int) -> Rewards:
    """Most variants are worse than the base by up to 30 points, one in five may be better."""
    better = draws.random(count) < 0.2
    found = 0.65 + np.where(better, draws.uniform(0, 0.15, count), -draws.uniform(0, 0.3, count))
    found[0] = 0.65
    return found


PROBLEMS: Final = (
    Problem("spread 10 points", 16, 200, spread(0.10)),
    Problem("spread 10 points", 32, 200, spread(0.10)),
    Problem("spread 10 points", 64, 200, spread(0.10)),
    Problem("spread 10 points", 32, 400, spread(0.10)),
    Problem("spread 15 points", 16, 100, spread(0.15)),
    Problem("spread 15 points", 32, 100, spread(0.15)),
    Problem("most variants harm", 32, 100, mostly_harmful),
    Problem("most variants harm", 32, 200, mostly_harmful),
    Problem("base at 85, spread 8 points", 32, 200, spread(0.08, 0.85)),
    Problem("graded rewards, spread 10 points", 32, 100, spread(0.10), graded=True),
    Problem("rows agree less (0.3), spread 10 points", 32, 200, spread(0.10), 0.3),
    Problem("spread 10 points", 32, 100, spread(0.10)),
    Problem("spread 10 points", 16, 100, spread(0.10)),
    Problem("spread 10 points", 8, 100, spread(0.10)),
    Problem("spread 10 points", 16, 50, spread(0.10)),
    Problem("spread 10 points", 8, 24, spread(0.10)),
    Problem("near ties: spread 3 points", 16, 100, spread(0.03)),
    Problem("near ties: spread 3 points", 32, 400, spread(0.03)),
    Problem("no difference at all", 16, 200, spread(0.0)),
)
#: What alpha buys, on two of them.
ALPHAS: Final = (0.01, 0.05, 0.1, 0.25, 0.5)
TRADED: Final = (PROBLEMS[1], PROBLEMS[12])


def rewards_of(problem: Problem, draws: Draws) -> Rewards:
    """Return rewards, candidates x rows.

    A candidate's level on a row is its quality, the row's ease, and its own luck with the row. It
    is right where that is above 0; a graded reward grows with it.
    """
    qualities = problem.qualities(draws, problem.variants + 1)
    levels = np.array([NormalDist().inv_cdf(float(quality)) for quality in qualities])
    ease = draws.normal(size=problem.rows)
    luck = draws.normal(size=(len(levels), problem.rows))
    level = levels[:, None] + math.sqrt(problem.shared) * ease
    level = level + math.sqrt(1 - problem.shared) * luck
    if not problem.graded:
        return (level > 0).astype(np.float64)
    return np.round(10 / (1 + np.exp(-2 * level))) / 10


# --- a search on it ------------------------------------------------------------------------------


def base_policy() -> Policy:
    """Return a policy to vary; no model is ever called."""
    spec = {
        "dse": "signature/v1",
        "id": "@bench/racing/Answer.v1",
        "description": "Answer.",
        "input": {"question": "string"},
        "output": {"answer": "string"},
        "prompt": [{"instruction": "Answer."}, {"output_format": "json_schema"}],
    }
    return authored_policy(Signature(SignatureSpec.model_validate(spec), {}), model="openai/none")


BASE: Final = base_policy()


def variant(number: int) -> Policy:
    """Return a candidate; the base is number 0."""
    return BASE if number == 0 else BASE.patched({"instruction": {"text": f"Answer {number}."}})


class Table:
    """A runner that looks rewards up."""

    def __init__(self, policies: Sequence[Policy], rows: Sequence[Row], rewards: Rewards) -> None:
        self._candidates = {policy.id: number for number, policy in enumerate(policies)}
        self._rows = {row.id: number for number, row in enumerate(rows)}
        self._rewards = rewards

    async def run(self, task: CellTask) -> Cell:
        place = self._candidates[task.candidate.id], self._rows[task.row.id]
        return Cell(
            candidate=task.candidate.id,
            example=task.row.id,
            example_hash=task.row.hash,
            rollout=0,
            reward=float(self._rewards[place]),
            usage=CellUsage(1, 0, 10, 1, 0),
        )

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        return Bound(1, 1, 11, 0)

    async def answer(self, query: Query) -> Prediction:
        raise NotImplementedError("nobody asks")

    def query_bound(self, query: Query) -> Bound:
        raise NotImplementedError("nobody asks")


def val_rows(count: int) -> list[Row]:
    """Return rows to be scored."""
    return [Row(f"v{index:04d}", {"question": str(index)}, {}, "val") for index in range(count)]


def start(policies: Sequence[Policy], rewards: Rewards, seed: int) -> Search:
    """Return a search over a table of rewards."""
    rows = val_rows(rewards.shape[1])
    runner = Table(policies, rows, rewards)
    engine = Engine(LocalExecutor(runner, 64), runner, Ledger(CompileBudget(max_time_s=1e9)))
    return Search.start(engine, policies[0], train=(), val=rows, space=SearchSpace(), seed=seed)


def winner_and_calls(
    policies: Sequence[Policy], rewards: Rewards, seed: int, scheduler: SchedulerSpec
) -> tuple[str, int]:
    """Return the winner that a scheduler finds, and how many cells that took."""
    search = start(policies, rewards, seed)

    async def go() -> None:
        base = await search.try_base()
        variants = [Proposed(policy, "variant", base) for policy in policies[1:]]
        await rank(search, variants, scheduler)

    asyncio.run(go())
    best = search.archive.best()
    if best is None:
        raise RuntimeError("the base is always evaluated in full")
    return best.candidate.id, search.engine.ledger.metric_calls


def full_winner(policies: Sequence[Policy], rewards: Rewards) -> str:
    """Return the winner of the full grid: highest sum, then (tokens are equal) the smaller id."""
    sums = np.rint(rewards * 1000).sum(axis=1)
    return min((-total, policy.id) for total, policy in zip(sums, policies, strict=True))[1]


def measure(problem: Problem, scheduler: SchedulerSpec, runs: int) -> Result:
    """Return how a scheduler does on seeded problems of one kind."""
    policies = [variant(number) for number in range(problem.variants + 1)]
    same = calls = 0
    regret = 0.0
    for run in range(runs):
        draws = numpy_substream(run, "racing_simulation", problem.what, str(problem[1:3]))
        rewards = rewards_of(problem, draws)
        best = full_winner(policies, rewards)
        found, spent = winner_and_calls(policies, rewards, run, scheduler)
        means = dict(zip([policy.id for policy in policies], rewards.mean(axis=1), strict=True))
        same, calls = same + (found == best), calls + spent
        regret += 100 * float(means[best] - means[found])
    cells = (problem.variants + 1) * problem.rows
    return Result(same / runs, calls / runs / cells, regret / runs)


# --- the tables ----------------------------------------------------------------------------------


def table(runs: int) -> Iterator[str]:
    """Yield the lines of both tables."""
    yield (
        "| simulated | variants | rows | race: same winner | calls | regret | goal "
        "| halving: same winner | calls | regret |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for problem in PROBLEMS:
        raced, halved = (measure(problem, name, runs) for name in ("racing", "successive_halving"))
        goal = "reached" if raced.reached else "**not reached**"
        yield (
            f"| {problem.what} | {problem.variants} | {problem.rows} "
            f"| {cells_of(raced)} | {goal} | {cells_of(halved)} |"
        )
    yield ""
    yield (
        "| alpha | "
        + " | ".join(
            f"{problem.variants} variants, {problem.rows} rows: same winner | calls | regret"
            for problem in TRADED
        )
        + " |"
    )
    yield "|---|" + "---|---|---|" * len(TRADED)
    for alpha in ALPHAS:
        spec = RacingSpec(id="racing", alpha=alpha)
        found = " | ".join(cells_of(measure(problem, spec, runs)) for problem in TRADED)
        yield f"| {alpha:g} | {found} |"


def cells_of(result: Result) -> str:
    """Return three cells of a table."""
    return f"{100 * result.same:.0f} % | {100 * result.calls:.0f} % | {result.regret:.2f}"


def main() -> None:
    """Run all simulations and print the Markdown tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.racing_simulation", description=__doc__)
    parser.add_argument("--runs", type=int, default=100, help="seeded problems a line")
    options = parser.parse_args()
    for line in table(options.runs):
        print(line, flush=True)


if __name__ == "__main__":
    main()
