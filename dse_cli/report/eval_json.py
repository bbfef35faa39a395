"""An evaluation as the one JSON document of ``dse eval --json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.evaluation import Cell, SignalScore
    from dse_cli.evaluation.views.paired_rows import RowPair
    from dse_cli.report.eval_report import Comparison, EvalReport, EvalVerdict, Measured


def eval_document(report: EvalReport, verdict: EvalVerdict) -> dict[str, Any]:
    """Return everything that was measured; rows won, lost and cells in full.

    The first line of the table is at the top level. With ``--model`` there is no such line: each
    model is an entry of ``models``, in the same form.
    """
    baseline = report.baseline
    lines = [_measured(measured) for measured in report.measured]
    return {
        "signature": report.name,
        "split": report.split,
        "rows": len(report.rows),
        "groups": report.groups,
        "split_rows": report.split_rows,
        "filters": report.filters,
        "rollouts": report.rollouts,
        "seed": report.seed,
        "against": None if baseline is None else baseline.compiled_id,
        "baseline": None if baseline is None else _measured(baseline),
        "messages": [str(message) for message in verdict.messages],
        "charged": report.charged.to_json(),
        "paid": report.paid.to_json(),
        "paid_calls": report.paid.calls,
        **({"models": lines} if report.by_model else lines[0]),
    }


def cell_json(cell: Cell) -> dict[str, Any]:
    """Return a cell as a JSON object."""
    return {
        "id": cell.example,
        "rollout": cell.rollout,
        "reward": cell.reward,
        "output": cell.output,
        "error": None if cell.error is None else cell.error.to_json(),
        "failures": [failure.to_json() for failure in cell.failures],
        "signals": [_signal(signal) for signal in cell.signals],
        "penalty": cell.penalty,
        "repairs": cell.usage.repairs,
        "tokens": cell.usage.total_tokens,
        "cost_nano_usd": cell.usage.cost_nano_usd,
    }


def _measured(measured: Measured) -> dict[str, Any]:
    comparison = measured.comparison
    return {
        "policy": {
            "label": measured.label,
            "compiled_id": measured.compiled_id,
            "model": measured.model,
            "alias": measured.alias,
        },
        "summary": measured.summary.model_dump(mode="json"),
        "outcomes": measured.outcomes.to_json(),
        "confusion": [pair._asdict() for pair in measured.confusion],
        **_compared(comparison),
        "cells": [cell_json(cell) for cell in measured.cells],
    }


def _compared(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None:
        names = ("comparison", "rows_won", "rows_lost", "slice_differences", "usage_difference")
        return dict.fromkeys(names)
    return {
        "comparison": comparison.test.model_dump(mode="json"),
        "rows_won": _pairs(comparison.rows.won),
        "rows_lost": _pairs(comparison.rows.lost),
        "slice_differences": [pair._asdict() for pair in comparison.slices],
        "usage_difference": {
            "tokens": comparison.tokens,
            "cost_nano_usd": comparison.cost_nano_usd,
        },
    }


def _pairs(pairs: Sequence[RowPair]) -> list[dict[str, Any]]:
    return [pair._asdict() for pair in pairs]


def _signal(signal: SignalScore) -> dict[str, Any]:
    metadata = {"metadata": dict(signal.metadata)} if signal.metadata else {}
    return {"id": signal.id, "score": signal.score, "feedback": signal.feedback, **metadata}
