"""What a gate compares of one policy, per row: reward, decode failures, tokens, cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from dse_cli.evaluation.statistics.intervals import DECIMALS

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell

#: Value per row id, the mean over rollouts; None where there is none, or a part is unknown.
PerRow = Mapping[str, float | None]
Resource = Literal["tokens", "cost"]


@dataclass(frozen=True)
class RowMeasures:
    """Per row id, averaged over the rollouts that are no outage.

    Attributes:
        rewards: in [0, 1].
        decode_failures: share of rollouts whose answer could not be decoded.
        tokens: prompt and completion, repairs included.
        cost: nano-dollars, charged.
        unknown_tokens, unknown_cost: rows that have an answer, but an unknown number of it.
    """

    rewards: PerRow
    decode_failures: PerRow
    tokens: PerRow
    cost: PerRow
    unknown_tokens: int = 0
    unknown_cost: int = 0

    def of(self, resource: Resource) -> PerRow:
        return self.tokens if resource == "tokens" else self.cost

    def unknown(self, resource: Resource) -> int:
        return self.unknown_tokens if resource == "tokens" else self.unknown_cost


def row_measures(cells: Iterable[Cell]) -> RowMeasures:
    """Return the measures of the cells of one candidate; their order does not matter.

    What its judges used is not among them: it is not the policy's.
    """
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.example, []).append(cell)
    answered = {
        row: [cell for cell in found if not cell.is_outage] for row, found in sorted(rows.items())
    }

    def per_row(value: Callable[[Cell], float | None]) -> dict[str, float | None]:
        return {row: _mean([value(cell) for cell in found]) for row, found in answered.items()}

    tokens = per_row(lambda cell: cell.usage.total_tokens)
    cost = per_row(lambda cell: cell.usage.cost_nano_usd)
    return RowMeasures(
        rewards=per_row(lambda cell: cell.reward),
        decode_failures=per_row(lambda cell: float(_is_decode_failure(cell))),
        tokens=tokens,
        cost=cost,
        unknown_tokens=_unknown(tokens, answered),
        unknown_cost=_unknown(cost, answered),
    )


def owed_rewards(cells: Iterable[Cell], other: PerRow) -> PerRow | None:
    """Return the rewards of a candidate with 0 for each answer that it owes; None if it owes none.

    An outage is not a wrong answer, but which rows have one may depend on the candidate: it is slow
    where it is hard, or its output makes a metric fail. A gain must not rest on that.

    Args:
        cells: of the candidate.
        other: rewards of the policy that it is compared with; rows without one are in no pair.
    """
    owes = False
    rows: dict[str, list[float | None]] = {}
    for cell in cells:
        is_owed = cell.is_outage and other.get(cell.example) is not None
        owes = owes or is_owed
        rows.setdefault(cell.example, []).append(0.0 if is_owed else cell.reward)
    return {row: _mean(found) for row, found in sorted(rows.items())} if owes else None


def _is_decode_failure(cell: Cell) -> bool:
    return cell.error is not None and cell.error.kind == "decode"


def _unknown(values: PerRow, answered: Mapping[str, list[Cell]]) -> int:
    return sum(1 for row, value in values.items() if value is None and answered[row])


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return None
    return round(math.fsum(known) / len(known), DECIMALS)
