"""Progress on stderr: trial, mean so far, best of a search, calls, cache hits, money, budget.

On a terminal it is a live bar. Elsewhere (a CI log) it is one line when a batch is done.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import typer

from dse_cli.cli.common import Out
from dse_cli.report.plain import counted, dollars

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from dse_cli.contracts.evaluation import Cell
    from dse_cli.contracts.job import CompileBudget
    from dse_cli.lm.meter import Meter


class Canvas(Protocol):
    """Where progress is drawn."""

    def started(self, label: str, cells: int) -> None:
        """A candidate begins."""
        ...

    def advanced(self, stats: str) -> None:
        """One more cell came back."""
        ...

    def finished(self, label: str, stats: str) -> None:
        """A candidate is done."""
        ...

    def note(self, text: str) -> None:
        """Something else is going on."""
        ...


@dataclass(frozen=True)
class Race:
    """What a search is held against, where candidates compete.

    Attributes:
        selecting: hashes of the rows that select; only a candidate measured on all of them can be
            the best, a minibatch or a batch on train rows cannot. None takes every batch for whole.
        evaluations: how many batches are expected; None is unknown.
        budget: limits of the run.
    """

    selecting: frozenset[str] | None = None
    evaluations: int | None = None
    budget: CompileBudget | None = None


class RunProgress:
    """Sees cells as they come back and says so on a canvas; decides nothing.

    Calls, money and outages are those of the batch at hand; what stands against the budget is of
    the whole run.

    Args:
        canvas: where to draw.
        show_scores: False on a holdout: a number that a person saw is a look, and an interrupted
            gate records none.
        race: where candidates compete: trials are counted, and the best so far is shown.
    """

    def __init__(
        self, canvas: Canvas, *, show_scores: bool = True, race: Race | None = None
    ) -> None:
        self._canvas = canvas
        self._show_scores = show_scores
        self._race = race
        self._meter: Meter | None = None
        self._before = _Spent()
        self._label = ""
        # A count and a sum: a cell must cost the same however many came before it.
        self._scored, self._reward_sum = 0, 0.0
        self._expected = self._done = self._outages = 0
        self._trial = self._cells = 0
        self._best: float | None = None
        self._full: dict[str, _Sum] = {}

    def run_started(self, meter: Meter) -> None:
        """Keep the meter: it knows calls, cache hits and money."""
        self._meter = meter

    def batch_started(self, label: str, cells: int) -> None:
        """Begin a batch: a candidate, a trial, a rung."""
        self._trial += 1
        self._label, self._expected, self._done = self._numbered(label), cells, 0
        self._scored, self._reward_sum, self._outages = 0, 0.0, 0
        self._before = _spent(self._meter)
        self._canvas.started(self._label, cells)

    def cell_done(self, cell: Cell) -> None:
        """Count a cell; the last one of a batch closes it."""
        self._done += 1
        self._cells += 1
        if cell.reward is None:
            self._outages += 1
        else:
            self._scored += 1
            self._reward_sum += cell.reward
        if self._race is not None and self._race.selecting is not None:
            self._measured(cell, self._race.selecting)
        self._canvas.advanced(self._stats())
        if self._done == self._expected:
            self._closed()
            self._canvas.finished(self._label, self._stats())

    def queries_started(self, label: str, count: int) -> None:
        """Say that the search itself asks: such answers are long, and no cell moves meanwhile."""
        self._canvas.note(f"{label}: {counted(count, 'question')} asked")

    def _numbered(self, label: str) -> str:
        if self._race is None:
            return label
        expected = self._race.evaluations
        # A rehearsal is a guess: what comes after it has a number and no end.
        of = "" if expected is None or self._trial > expected else f"/{expected}"
        return f"{self._trial}{of} {label}"

    def _measured(self, cell: Cell, selecting: frozenset[str]) -> None:
        """Add a cell to the mean of its candidate; one that has every row is fully measured."""
        if cell.rollout or cell.example_hash not in selecting:
            return
        found = self._full.setdefault(cell.candidate, _Sum())
        found.cells += 1
        if cell.reward is not None:
            found.scored += 1
            found.rewards += cell.reward
        if found.cells == len(selecting):
            del self._full[cell.candidate]
            if found.scored:
                self._contends(found.rewards / found.scored)

    def _closed(self) -> None:
        mean = self._mean()
        if mean is not None and self._race is not None and self._race.selecting is None:
            self._contends(mean)

    def _contends(self, mean: float) -> None:
        self._best = mean if self._best is None else max(self._best, mean)

    def _mean(self) -> float | None:
        return self._reward_sum / self._scored if self._scored else None

    def _scores(self) -> list[str]:
        mean = self._mean()
        parts = ["no score yet" if mean is None else f"mean {100 * mean:.1f}"]
        if self._best is not None:
            parts.append(f"best {100 * self._best:.1f}")
        return parts

    def _stats(self) -> str:
        parts = self._scores() if self._show_scores else [counted(self._done, "cell")]
        if self._meter is not None:
            now, before = _spent(self._meter), self._before
            parts.append(f"{counted(now.calls - before.calls, 'call')}, "
                         f"{now.hits - before.hits:,} from cache")  # fmt: skip
            known = now.unknown_cost == before.unknown_cost
            parts.append(dollars(now.cost - before.cost) if known else "cost unknown")
        if self._outages:
            parts.append(f"{self._outages:,} without an answer")
        used = ", ".join(self._used())
        return ", ".join(parts) + (f"; used {used}" if used else "")

    def _used(self) -> Iterator[str]:
        """Yield what the run has used of each limit on work."""
        limits = None if self._race is None else self._race.budget
        if limits is None:
            return
        if limits.max_metric_calls is not None:
            yield f"{self._cells:,} of {limits.max_metric_calls:,} metric calls"
        if self._meter is None:
            return
        charged = self._meter.charged
        if limits.max_lm_calls is not None:
            yield f"{charged.calls:,} of {limits.max_lm_calls:,} calls"
        if limits.max_tokens is not None:
            yield f"{charged.total_tokens:,} of {limits.max_tokens:,} tokens"
        if limits.max_cost_usd is not None:
            yield f"{dollars(charged.cost_nano_usd)} of ${limits.max_cost_usd:g}"


@dataclass(slots=True)
class _Sum:
    """Cells of a candidate on the rows that select, so far."""

    cells: int = 0
    scored: int = 0
    rewards: float = 0.0


class _Spent(NamedTuple):
    """What a run had been charged at some moment: calls, hits in the cache, nano-dollars."""

    calls: int = 0
    hits: int = 0
    cost: int = 0
    unknown_cost: int = 0


def _spent(meter: Meter | None) -> _Spent:
    if meter is None:
        return _Spent()
    charged = meter.charged
    return _Spent(charged.calls, meter.cache_hits, charged.cost_nano_usd, charged.unknown_cost)


class BarCanvas:
    """A live bar."""

    def __init__(self, bar: Progress, total: int | None) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("starting", total=total, stats="")

    def started(self, label: str, cells: int) -> None:
        """Name the candidate."""
        self._bar.update(self._task, description=label[:56])

    def advanced(self, stats: str) -> None:
        """Move on by one cell."""
        self._bar.update(self._task, advance=1, stats=stats)

    def finished(self, label: str, stats: str) -> None:
        """Leave a line above the bar."""
        self.note(f"{label}: {stats}")

    def note(self, text: str) -> None:
        """Leave a line above the bar."""
        self._bar.console.print(text, style="dim", markup=False, highlight=False)


class LineCanvas:
    """One line a candidate."""

    def started(self, label: str, cells: int) -> None:
        """Say nothing: the line comes when there is something to say."""

    def advanced(self, stats: str) -> None:
        """Say nothing."""

    def finished(self, label: str, stats: str) -> None:
        """Print the line."""
        self.note(f"{label}: {stats}")

    def note(self, text: str) -> None:
        """Print a line."""
        typer.echo(text, err=True)


class WeightsProgress:
    """Shows a download of embedded weights."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._task: TaskID | None = None

    def advance(self, done: int, total: int) -> None:
        """Draw bytes done."""
        if self._bar is None:
            return
        if self._task is None:
            self._task = self._bar.add_task("weights", total=total, stats="")
        size = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"
        self._bar.update(self._task, completed=done, total=total, stats=size)
        if done >= total:
            self._bar.remove_task(self._task)
            self._task = None

    def note(self, text: str) -> None:
        """Print a line."""
        if self._bar is None:
            typer.echo(text, err=True)
        else:
            self._bar.console.print(text, style="dim", markup=False, highlight=False)


@contextmanager
def showing(out: Out) -> Iterator[Progress | None]:
    """Draw on stderr while the body runs; nothing when it is quiet or no terminal."""
    if out.quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns: list[Any] = [
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.fields[stats]}"),
        TimeRemainingColumn(),
    ]
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar


def watcher(
    out: Out,
    bar: Progress | None,
    total: int | None,
    *,
    show_scores: bool = True,
    race: Race | None = None,
) -> RunProgress | None:
    """Return what watches a run of at most ``total`` cells; None when it is to be quiet."""
    if out.quiet:
        return None
    canvas = LineCanvas() if bar is None else BarCanvas(bar, total)
    return RunProgress(canvas, show_scores=show_scores, race=race)
