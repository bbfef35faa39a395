"""Progress of a run, as lines."""

from __future__ import annotations

from typing import Any

from dse_cli.cli.progress import Race, RunProgress
from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.job import CompileBudget
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


def run(**options: Any) -> list[str]:
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
    first, second = run(race=Race())
    assert first.startswith("1 a: mean 100.0, best 100.0, ")
    assert second.startswith("2 b: mean 50.0, best 100.0, ")


def test_no_score_of_a_holdout_is_shown() -> None:
    assert run(show_scores=False)[0] == "a: 2 cells, 2 calls, 0 from cache, $2.0000"


def test_a_trial_stands_with_its_number_and_the_run_with_its_budget() -> None:
    budget = CompileBudget(max_metric_calls=40, max_lm_calls=9, max_tokens=90, max_cost_usd=5.0)
    first, second = run(race=Race(evaluations=2, budget=budget))
    assert first.startswith("1/2 a: ")
    assert first.endswith(
        "; used 2 of 40 metric calls, 2 of 9 calls, 0 of 90 tokens, $2.0000 of $5"
    )
    assert second.endswith(
        "; used 4 of 40 metric calls, 3 of 9 calls, 0 of 90 tokens, $3.0000 of $5"
    )
    assert run(race=Race(evaluations=1))[1].startswith("2 b: ")


def test_only_a_candidate_measured_on_every_selecting_row_can_be_the_best() -> None:
    canvas = Lines()
    progress = RunProgress(canvas, race=Race(frozenset({"v1", "v2"})))
    batches = {
        "minibatch": [("c", "v1", 1.0), ("c", "t1", 1.0)],
        "other": [("d", "v1", 0.0), ("d", "v2", 1.0)],
        "full": [("c", "v2", 0.5)],
        "again": [("c", "v2", 1.0)],
    }
    for label, cells in batches.items():
        progress.batch_started(label, len(cells))
        for candidate, row, reward in cells:
            progress.cell_done(Cell(candidate, row, row, int(label == "again"), reward))
    assert canvas.lines == [
        "1 minibatch: mean 100.0",
        "2 other: mean 50.0, best 50.0",
        "3 full: mean 50.0, best 75.0",
        "4 again: mean 100.0, best 75.0",
    ]
