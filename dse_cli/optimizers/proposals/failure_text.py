"""One failed cell in words, for a proposer that is to write a better instruction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.evaluation.json_values import json_text, shortened
from dse_cli.optimizers.proposals.grounding import MOST_ROW

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell


def failure_text(row: Row, cell: Cell) -> str:
    """Return input, answer, right answer and remarks, a line each; what is long is cut visibly."""
    answer = json_text(cell.output)
    if cell.output is None and cell.error is not None:
        answer = f"none: {cell.error.message}"
    lines = [
        f"input: {shortened(json_text(row.input), MOST_ROW)}",
        f"answer: {shortened(answer, MOST_ROW)}",
        f"right answer: {shortened(json_text(row.expected), MOST_ROW)}",
        *(f"remark: {failure.message}" for failure in cell.failures),
    ]
    return "\n".join(lines)
