"""Live progress on stderr: batch, cells, best so far, calls, cache hits, money, time left."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dse_cli.cli.common import Out
from dse_cli.contracts.lm import NANO

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from dse_cli.contracts.evaluation import Cell


class RunProgress:
    """Sees cells as they come back and draws a bar; decides nothing.

    Args:
        bar: the drawing.
        total: cells that the run may fill, None when unknown.
    """

    def __init__(self, bar: Progress, total: int | None) -> None:
        self._bar = bar
        self._task: TaskID = bar.add_task("starting", total=total, stats="")
        self._label = ""
        self._rewards: list[float] = []
        self._best: float | None = None
        self._calls = self._outages = 0
        self._cost: int | None = 0

    def batch_started(self, label: str, cells: int) -> None:
        """Begin a batch: the last one's mean becomes the best so far if it is."""
        self._close_batch()
        self._label = label
        self._bar.update(self._task, description=label[:40])

    def cell_done(self, cell: Cell) -> None:
        """Count a cell."""
        if cell.reward is None:
            self._outages += 1
        else:
            self._rewards.append(cell.reward)
        self._calls += cell.usage.lm_calls
        known = cell.usage.cost_nano_usd
        self._cost = None if self._cost is None or known is None else self._cost + known
        self._bar.update(self._task, advance=1, stats=self._stats())

    def _close_batch(self) -> None:
        if self._rewards:
            mean = sum(self._rewards) / len(self._rewards)
            self._best = mean if self._best is None else max(self._best, mean)
            self._rewards = []

    def _stats(self) -> str:
        now = 100 * sum(self._rewards) / len(self._rewards) if self._rewards else 0.0
        parts = [f"{now:.1f}"]
        if self._best is not None:
            parts.append(f"best {100 * self._best:.1f}")
        parts.append(f"{self._calls} calls")
        parts.append("$?" if self._cost is None else f"${self._cost / NANO:.4f}")
        if self._outages:
            parts.append(f"{self._outages} outages")
        return " · ".join(parts)


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
            print(text, file=sys.stderr)  # noqa: T201 - people's text
        else:
            self._bar.console.print(text, style="dim", markup=False)


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


def watcher(bar: Progress | None, total: int | None) -> RunProgress | None:
    """Return an observer that draws on ``bar``, or None."""
    return None if bar is None else RunProgress(bar, total)
