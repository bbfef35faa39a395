"""An evaluation as findings about files: the lines of rows that failed, and the job that says no.

Rendered by :func:`dse_cli.report.terminal_diagnostics.github_annotations`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.evaluation.summary import PASSES
from dse_cli.report.eval_words import reward_text
from dse_cli.report.plain import counted, one_line

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell
    from dse_cli.report.eval_report import EvalReport, EvalVerdict, Measured

#: Rows that get an annotation of their own: GitHub shows ten of a kind in a step.
MOST_ROWS: Final = 10


def eval_annotations(
    report: EvalReport, verdict: EvalVerdict, *, job_file: str, job_line: int
) -> list[Diagnostic]:
    """Return an error for each reason why it did not pass, and warnings for rows that failed.

    Args:
        job_file, job_line: where errors point: the job whose reward was measured.
    """
    errors = [
        Diagnostic(job_file, job_line, 0, message.outcome.replace("_", "-"), message.text)
        for message in verdict.messages
    ]
    return [*errors, *_rows(report)]


def _rows(report: EvalReport) -> Iterator[Diagnostic]:
    places = {row.id: row for row in report.rows}
    failed = [
        (measured, cells)
        for measured in report.measured
        for cells in _by_row(measured)
        if any(cell.reward is None or cell.reward < PASSES for cell in cells)
    ]
    for measured, cells in failed[:MOST_ROWS]:
        place = places[cells[0].example]
        label = f" on {measured.alias}" if measured.alias is not None else ""
        yield Diagnostic(
            place.file, place.line, 0, "row-not-perfect",
            f"{place.id}{label}: {_why(cells)}", severity="warning",
        )  # fmt: skip
    if (more := len(failed) - MOST_ROWS) > 0:
        place = places[failed[MOST_ROWS][1][0].example]
        yield Diagnostic(
            place.file, 0, 0, "row-not-perfect",
            f"{counted(more, 'more row')} of dse eval {report.name} are not perfect",
            severity="warning",
        )  # fmt: skip


def _by_row(measured: Measured) -> list[list[Cell]]:
    rows: dict[str, list[Cell]] = {}
    for cell in measured.cells:
        rows.setdefault(cell.example, []).append(cell)
    return list(rows.values())


def _why(cells: list[Cell]) -> str:
    worst = next(cell for cell in cells if cell.reward is None or cell.reward < PASSES)
    reasons = "; ".join(f"{failure.source}: {failure.message}" for failure in worst.failures)
    return one_line(f"{reward_text(worst.reward)}, {reasons}" if reasons else
                    reward_text(worst.reward), 400)  # fmt: skip
