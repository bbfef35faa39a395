"""Evaluations built by hand, for the views of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.errors import ExitCode
from dse_cli.contracts.evaluation import Cell, CellError, CellUsage, SignalScore
from dse_cli.evaluation.failures import failures_of
from dse_cli.evaluation.rewards.reward import ScoredOutput
from dse_cli.evaluation.statistics.paired_test import paired_test
from dse_cli.evaluation.summary import summarize
from dse_cli.evaluation.views.confusion import confusion_pairs
from dse_cli.evaluation.views.outcomes import outcomes_of
from dse_cli.evaluation.views.paired_rows import paired_rows
from dse_cli.evaluation.views.paired_slices import paired_slices
from dse_cli.lm.meter import Tally
from dse_cli.report.eval_report import (
    Comparison,
    EvalMessage,
    EvalReport,
    EvalVerdict,
    Measured,
)

ROWS = tuple(
    Row(
        f"r{number}",
        {"ticket": f"t{number}"},
        {"queue": "billing"},
        "val",
        tags=("even" if number % 2 == 0 else "odd",),
        file="datasets/tickets/rows.jsonl",
        line=number + 1,
    )
    for number in range(4)
)
FAILED = EvalVerdict(
    "regression",
    ExitCode.QUALITY,
    (EvalMessage("regression", "-25.0 points is worse than the allowed 2.0"),),
)


def cell(row: Row, got: str | None, *, rollout: int = 0, **changes: Any) -> Cell:
    """A cell that answered ``got``; None is an outage."""
    right = got == "billing"
    pair = {"expected": "billing", "got": got}
    signal = SignalScore(
        "classification:queue", float(right), "" if right else f"{got} | not billing", pair
    )
    values: dict[str, Any] = {
        "reward": float(right),
        "signals": (signal,),
        "output": {"queue": got},
        "usage": CellUsage(1, 0, 100, 5, 2_000_000),
        **changes,
    }
    if got is None:
        error = CellError("provider", "503: on fire")
        values |= {"reward": None, "signals": (), "output": None, "error": error}
    made = Cell(candidate="c", example=row.id, example_hash=row.hash, rollout=rollout, **values)
    scored = ScoredOutput(
        made.reward,
        made.signals,
        made.error,
        penalty=made.penalty,
        penalty_feedback=made.penalty_feedback,
    )
    return replace(made, failures=failures_of(scored, made.output, row))


def measured(
    label: str, cells: list[Cell], *, alias: str | None = None, rows: tuple[Row, ...] = ROWS
) -> Measured:
    summary = summarize(
        cells,
        split="val",
        dataset_revision=f"sha256:{'d' * 64}",
        split_hash=f"sha256:{'e' * 64}",
        reward_hash=f"sha256:{'f' * 64}",
        rows={row.id: row for row in rows},
        seed=7,
    )
    return Measured(
        label=label,
        compiled_id=f"sha256:{'abc123' * 10}0000",
        model="openai/desk",
        alias=alias,
        summary=summary,
        cells=tuple(cells),
        outcomes=outcomes_of(cells),
        confusion=confusion_pairs(cells),
    )


def compared(ours: Measured, theirs: Measured) -> Measured:
    left, right = ours.summary.rows, theirs.summary.rows
    comparison = Comparison(
        against=theirs.label,
        test=paired_test(left, right, seed=7, level=0.05),
        rows=paired_rows(left, right),
        slices=paired_slices(left, right, {row.id: row.tags for row in ROWS}),
        tokens=-40,
        cost_nano_usd=1_500_000,
    )
    return Measured(
        **{
            name: getattr(ours, name)
            for name in Measured.__dataclass_fields__
            if name != "comparison"
        },
        comparison=comparison,
    )


def answered(*got: str | None, rollout: int = 0) -> list[Cell]:
    return [cell(row, word, rollout=rollout) for row, word in zip(ROWS, got, strict=True)]


def report(
    *lines: Measured,
    baseline: Measured | None = None,
    rows: tuple[Row, ...] = ROWS,
    split_rows: int | None = None,
    filters: str = "",
) -> EvalReport:
    calls = Tally(calls=8, prompt_tokens=800, completion_tokens=40, cost_nano_usd=16_000_000)
    return EvalReport(
        name="route",
        split="val",
        rows=rows,
        split_rows=split_rows or len(rows),
        filters=filters,
        output_fields=("queue",),
        rollouts=max(cell.rollout for line in lines for cell in line.cells) + 1,
        seed=7,
        measured=lines,
        baseline=baseline,
        charged=calls,
        paid=Tally(calls=3, cost_nano_usd=6_000_000),
    )


def regression() -> EvalReport:
    """Two won, none lost, one row an outage; and what it is compared with."""
    theirs = measured("default", answered("billing", "billing", "other", "other"))
    ours = measured("active abc", answered("billing", "other", "other", None))
    return report(compared(ours, theirs), baseline=theirs)
