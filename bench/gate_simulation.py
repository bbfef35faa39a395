"""``python -m bench.gate_simulation``: how often does the gate err, and how often does it find?

Policies are simulated, the gate is the real one: ``paired_test``, ``conclude``, the guards and the
score test of ``dse_cli.evaluation``. Only the resamples of the printed interval are skipped, which
no promotion rests on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.project import GateGuards, GatePolicy, NonInferiority, PromisedSaving
from dse_cli.evaluation.gate.guards import guard_results
from dse_cli.evaluation.gate.non_inferiority import NonInferiorityFinding
from dse_cli.evaluation.gate.resources import saving_results
from dse_cli.evaluation.gate.row_measures import RowMeasures
from dse_cli.evaluation.gate.verdict import conclude
from dse_cli.evaluation.seeds import numpy_substream
from dse_cli.evaluation.statistics.paired_test import look_level, mean_lower_bound, paired_test

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rewards = NDArray[np.float64]
    Draws = np.random.Generator
    #: Two arrays of rewards, candidate and baseline, for so many rows.
    Policies = Callable[[Draws, int], tuple[Rewards, Rewards]]

POLICY: Final = GatePolicy()
SAVING: Final = PromisedSaving(tokens=0.2)
MARGIN: Final = 0.05
FALSE_ALARMS: Final = 0.055
#: The bootstrap interval decides regression and no_change; here only promotions are counted.
_NO_INTERVAL: Final = 1


class Result(NamedTuple):
    """One line of the table.

    Attributes:
        what: the simulation.
        hits: runs in which the gate promoted, or a guard tripped.
        runs: all of them.
        most, least: the goal, as a share of the runs; None for information only.
    """

    what: str
    hits: int
    runs: int
    most: float | None = None
    least: float | None = None

    @property
    def share(self) -> float:
        return self.hits / self.runs

    @property
    def reached(self) -> bool | None:
        if self.most is not None:
            return self.share <= self.most
        return None if self.least is None else self.share >= self.least


# --- policies ------------------------------------------------------------------------------------


def equal_binary(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
    """Right or wrong: rows differ in difficulty, the policies do not differ."""
    chance = draws.beta(2, 1, n)
    return _right(draws, chance), _right(draws, chance)


def equal_graded(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
    """Rewards in hundredths around the difficulty of the row."""
    level = draws.beta(4, 2, n)
    return _graded(draws, level), _graded(draws, level)


def equal_skewed(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
    """The same mean by many small gains and few large losses: hard for a sign-flip test."""
    baseline = draws.integers(40, 61, n) / 100
    return baseline + np.where(draws.random(n) < 0.8, 0.05, -0.2), baseline


def shared_outcomes(base: float, gain: float, shared: float) -> Policies:
    """Of ``shared`` of the rows the outcome is drawn once; of the rest twice, independently."""

    def draw(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
        baseline = _right(draws, np.full(n, base))
        again = _right(draws, np.full(n, base + gain / (1 - shared)))
        return np.where(draws.random(n) < shared, baseline, again), baseline

    return draw


def correlated_outcomes(base: float, gain: float, phi: float) -> Policies:
    """Outcomes of two policies with a phi coefficient of ``phi`` between them."""
    better = base + gain
    both = base * better + phi * (base * (1 - base) * better * (1 - better)) ** 0.5
    return discordant(better - both, base - both)


def discordant(win: float, loss: float) -> Policies:
    """A row is won with chance ``win``, lost with ``loss``, else the same; half of them right."""

    def draw(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
        place = draws.random(n)
        won, lost = place < win, (place >= win) & (place < win + loss)
        same = _right(draws, np.full(n, 0.5))
        return np.where(won, 1.0, np.where(lost, 0.0, same)), np.where(
            won, 0.0, np.where(lost, 1.0, same)
        )

    return draw


def graded_loss(margin: float) -> Policies:
    """The baseline's reward less ``margin`` on average, with graded noise."""

    def draw(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
        baseline = draws.integers(40, 61, n) / 100
        noise = draws.integers(-20, 21, n) / 100
        return baseline - margin + noise, baseline

    return draw


def rare_graded_loss(margin: float) -> Policies:
    """Equal but for rare answers that lose all: the mean is ``margin`` lower."""

    def draw(draws: Draws, n: int) -> tuple[Rewards, Rewards]:
        baseline = draws.integers(50, 100, n) / 100
        return np.where(draws.random(n) < margin / 0.745, 0.0, baseline), baseline

    return draw


def _right(draws: Draws, chance: Rewards) -> Rewards:
    return (draws.random(len(chance)) < chance).astype(np.float64)


def _graded(draws: Draws, level: Rewards) -> Rewards:
    return draws.binomial(100, draws.beta(8 * level + 0.1, 8 * (1 - level) + 0.1)) / 100.0


# --- the gate ------------------------------------------------------------------------------------


def by_row(rewards: Rewards) -> dict[str, float | None]:
    """Return rewards by row id, as a summary has them."""
    return {f"r{index:05d}": float(value) for index, value in enumerate(rewards)}


def promotes(
    candidate: Rewards,
    baseline: Rewards,
    seed: int,
    *,
    look: int = 1,
    groups: dict[str, str | None] | None = None,
) -> bool:
    """Tell whether the gate promotes on these rewards."""
    level = look_level(POLICY.alpha, look)
    found = paired_test(
        by_row(candidate), by_row(baseline), groups=groups, seed=seed, level=level,
        draws=_NO_INTERVAL,
    )  # fmt: skip
    return conclude(found, POLICY, look).verdict == "promote"


def passes_non_inferiority(candidate: Rewards, baseline: Rewards, draws: Draws, seed: int) -> bool:
    """Tell whether the second mode promotes; the candidate saves 40 % of the tokens."""
    level = look_level(POLICY.alpha, 1)
    spent = draws.integers(80, 121, len(baseline)).astype(np.float64)
    left = _measures(candidate, tokens=0.6 * spent)
    right = _measures(baseline, tokens=spent)
    policy = GatePolicy(margin=MARGIN, non_inferiority=NonInferiority(saving=SAVING))
    finding = NonInferiorityFinding(
        mean_lower_bound([float(value) for value in candidate - baseline], level),
        saving_results(left, right, SAVING, groups=None, seed=seed, level=level),
    )
    found = paired_test(left.rewards, right.rewards, seed=seed, level=level, draws=_NO_INTERVAL)
    return conclude(found, policy, 1, non_inferiority=finding).verdict == "promote"


def _measures(rewards: Rewards, *, tokens: Rewards, failed: Rewards | None = None) -> RowMeasures:
    failures = np.zeros(len(rewards)) if failed is None else failed
    return RowMeasures(by_row(rewards), by_row(failures), by_row(tokens), by_row(tokens))


# --- simulations ---------------------------------------------------------------------------------


def _streams(runs: int, *names: str) -> Iterator[tuple[int, Draws]]:
    for run in range(runs):
        yield run, numpy_substream(run, "gate_simulation", *names)


def promotions(policies: Policies, n: int, runs: int, name: str) -> int:
    """Count promotions at the first look."""
    return sum(promotes(*policies(draws, n), run) for run, draws in _streams(runs, name, str(n)))


def best_of(policies: Policies, runs: int, *, candidates: int = 20) -> int:
    """Count promotions of the best of equal candidates on val (n = 50), on a holdout of 200."""
    hits = 0
    for run, draws in _streams(runs, "best_of"):
        on_val = [policies(draws, 50)[0].mean() for _ in range(candidates)]
        held_out = [policies(draws, 200) for _ in range(candidates)]
        hits += promotes(*held_out[int(np.argmax(on_val))], run)
    return hits


def repeated_looks(runs: int, *, n: int = 200, looks: int = 5) -> int:
    """Count holdouts on which any of several looks promotes; the baseline answers once."""
    hits = 0
    for run, draws in _streams(runs, "looks"):
        chance = draws.beta(2, 1, n)
        baseline = _right(draws, chance)
        hits += any(
            promotes(_right(draws, chance), baseline, run, look=look + 1) for look in range(looks)
        )
    return hits


def guard_alarms(runs: int, *, n: int = 200, tags: int = 5) -> int:
    """Count looks in which any guard trips although nothing got worse."""
    guards = GateGuards(tokens=0.0)
    rows = [
        Row(f"r{index:05d}", {}, {}, "holdout", (f"t{index % tags}",), hash="sha256:0")
        for index in range(n)
    ]
    hits = 0
    for run, draws in _streams(runs, "guards"):
        ours, theirs = equal_binary(draws, n)
        sides = [
            _measures(
                rewards,
                tokens=draws.integers(80, 121, n).astype(np.float64),
                failed=_right(draws, np.full(n, 0.05)),
            )
            for rewards in (ours, theirs)
        ]
        found = guard_results(sides[0], sides[1], guards, rows, seed=run, alpha=POLICY.alpha)
        hits += any(guard.tripped for guard in found)
    return hits


def non_inferior(policies: Policies, n: int, runs: int, name: str) -> int:
    """Count promotions in the second mode."""
    return sum(
        passes_non_inferiority(*policies(draws, n), draws, run)
        for run, draws in _streams(runs, "non_inferiority", name, str(n))
    )


def clustered(runs: int, *, clusters: int = 20, size: int = 10, grouped: bool) -> int:
    """Count promotions of equal policies whose rows agree within a cluster."""
    n = clusters * size
    groups: dict[str, str | None] | None = (
        {f"r{index:05d}": f"g{index // size}" for index in range(n)} if grouped else None
    )
    hits = 0
    for run, draws in _streams(runs, "clusters"):
        ours, theirs = equal_binary(draws, clusters)
        hits += promotes(np.repeat(ours, size), np.repeat(theirs, size), run, groups=groups)
    return hits


# --- the table -----------------------------------------------------------------------------------


def results(runs: int) -> Iterator[Result]:
    """Yield the lines of the table."""
    for n in (100, 200):
        for name, policies in (
            ("right or wrong", equal_binary),
            ("graded", equal_graded),
            ("graded, few large losses", equal_skewed),
        ):
            hits = promotions(policies, n, runs, name)
            yield Result(f"no difference, {name}, n = {n}", hits, runs, most=FALSE_ALARMS)
    for name, policies in (("right or wrong", equal_binary), ("graded", equal_graded)):
        what = f"best of 20 on val (n = 50), gated on a fresh holdout (n = 200), {name}"
        yield Result(what, best_of(policies, runs), runs, most=FALSE_ALARMS)
    yield Result("up to 5 looks at one holdout, n = 200", repeated_looks(runs), runs, FALSE_ALARMS)
    yield Result(
        "groups of 10 equal rows, 20 groups, `group` given",
        clustered(runs, grouped=True), runs, FALSE_ALARMS,
    )  # fmt: skip
    yield Result("the same, `group` not given", clustered(runs, grouped=False), runs)
    yield Result(
        "any guard trips, nothing worse: 5 tags, decode failures, tokens",
        guard_alarms(runs), runs, FALSE_ALARMS,
    )  # fmt: skip
    yield from _found(runs)
    yield from _second_mode(runs)


def _found(runs: int) -> Iterator[Result]:
    for base in (0.4, 0.5, 0.6):
        hits = promotions(shared_outcomes(base, 0.1, 0.7), 200, runs, f"shared {base}")
        what = f"+10 points, 70 % of outcomes drawn once, baseline {100 * base:.0f}, n = 200"
        yield Result(what, hits, runs, least=0.95)
    for base in (0.4, 0.5, 0.6):
        hits = promotions(correlated_outcomes(base, 0.1, 0.7), 200, runs, f"phi {base}")
        what = f"+10 points, phi = 0.7, baseline {100 * base:.0f}, n = 200"
        yield Result(what, hits, runs, least=0.95)
    hits = promotions(discordant(0.2, 0.1), 200, runs, "discordant")
    yield Result("+10 points, 20 % of rows won and 10 % lost, n = 200", hits, runs)


def _second_mode(runs: int) -> Iterator[Result]:
    worse: tuple[tuple[str, Policies], ...] = (
        ("only losses", discordant(0.0, MARGIN)),
        ("10 % of rows differ", discordant((0.1 - MARGIN) / 2, (0.1 + MARGIN) / 2)),
        ("graded", graded_loss(MARGIN)),
        ("graded, rare losses of all", rare_graded_loss(MARGIN)),
    )
    for name, policies in worse:
        for n in (100, 400):
            hits = non_inferior(policies, n, runs, name)
            what = f"second mode, worse by the margin of {100 * MARGIN:.0f}, {name}, n = {n}"
            yield Result(what, hits, runs, most=FALSE_ALARMS)
    for n in (100, 200, 400):
        hits = non_inferior(discordant(0.05, 0.05), n, runs, "equal")
        yield Result(f"second mode, equal, 10 % of rows differ, n = {n}", hits, runs)


def table(found: Iterator[Result]) -> Iterator[str]:
    """Yield the Markdown lines."""
    yield "| simulated | runs | promoted or tripped | goal | |"
    yield "|---|---|---|---|---|"
    marks: dict[Any, str] = {True: "reached", False: "**not reached**", None: ""}
    for line in found:
        goal = ""
        if line.most is not None:
            goal = f"at most {100 * line.most:.1f} %"
        elif line.least is not None:
            goal = f"at least {100 * line.least:.0f} %"
        share = f"{100 * line.share:.1f} %"
        yield f"| {line.what} | {line.runs:,} | {share} | {goal} | {marks[line.reached]} |"


def main() -> None:
    """Run all simulations and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate_simulation", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100 runs each: does it work?")
    options = parser.parse_args()
    for line in table(results(100 if options.quick else 2000)):
        print(line, flush=True)


if __name__ == "__main__":
    main()
