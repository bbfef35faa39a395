"""Progress of a run, as lines."""

from __future__ import annotations

from dse_cli.cli.progress import RunProgress
from dse_cli.contracts.evaluation import Cell
from dse_cli.lm.meter import Meter


class Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def started(self, label: str, cells: int) -> None:
        pass

    def advanced(self, stats: str) -> None:
        pass

    def finished(self, label: str, stats: str) -> None:
        self.lines.append(f"{label}: {stats}")

    def note(self, text: str) -> None:
        self.lines.append(text)


def run(**options: bool) -> list[str]:
    """Two candidates: two calls of a dollar each, then one call, an outage and a hit."""
    canvas, meter = Lines(), Meter()
    progress = RunProgress(canvas, **options)
    progress.run_started(meter)
    for label, rewards, paid in (("a", (1.0, 1.0), 2), ("b", (0.5, None), 0)):
        progress.batch_started(label, 2)
        for reward in rewards:
            if reward is not None:
                meter.charged.calls += 1
                meter.charged.cost_nano_usd += 10**9
            meter.paid.calls += paid and 1
            progress.cell_done(Cell("c", "r", "h", 0, reward))
    return canvas.lines


def test_each_line_is_of_its_own_candidate() -> None:
    assert run() == [
        "a: mean 100.0, 2 calls, 0 from cache, $2.0000",
        "b: mean 50.0, 1 call, 1 from cache, $1.0000, 1 without an answer",
    ]


def test_the_best_so_far_is_shown_where_candidates_compete() -> None:
    first, second = run(show_best=True)
    assert first.startswith("a: mean 100.0, best 100.0, ")
    assert second.startswith("b: mean 50.0, best 100.0, ")


def test_no_score_of_a_holdout_is_shown() -> None:
    assert run(show_scores=False)[0] == "a: 2 cells, 2 calls, 0 from cache, $2.0000"
