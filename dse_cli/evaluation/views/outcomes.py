"""How cells ended: perfect, wrong, not decodable, or without an answer. An outage is not wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dse_cli.evaluation.statistics.resampling import to_units
from dse_cli.evaluation.summary import PASSES

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Counts of cells; every cell is in one of them.

    Attributes:
        perfect: reward 1.
        imperfect: decoded, and a reward below 1.
        decode: the answer could not be read; the policy's fault, and it scores.
        outages: no reward, by kind; the world's fault.
        consistent: with several rollouts, the share of rows on which all of them have the same
            reward, over the rows without an outage; None with one rollout.
    """

    perfect: int
    imperfect: int
    decode: int
    outages: dict[str, int]
    consistent: float | None

    @property
    def without_answer(self) -> int:
        """Cells that an outage left without a reward."""
        return sum(self.outages.values())

    @property
    def cells(self) -> int:
        return self.perfect + self.imperfect + self.decode + self.without_answer

    def to_json(self) -> dict[str, Any]:
        return {
            "perfect": self.perfect,
            "imperfect": self.imperfect,
            "decode": self.decode,
            "outages": self.outages,
            "consistent": self.consistent,
        }


def outcomes_of(cells: Sequence[Cell]) -> Outcomes:
    """Count the cells of one policy."""
    outages = Counter(cell.error.kind for cell in cells if cell.error and cell.is_outage)
    answered = [cell for cell in cells if not cell.is_outage]
    decode = sum(cell.error is not None for cell in answered)
    read = [cell for cell in answered if cell.error is None]
    perfect = sum(cell.reward is not None and cell.reward >= PASSES for cell in read)
    return Outcomes(
        perfect=perfect,
        imperfect=len(read) - perfect,
        decode=decode,
        outages=dict(sorted(outages.items())),
        consistent=_consistent(cells),
    )


def _consistent(cells: Sequence[Cell]) -> float | None:
    rewards: dict[str, list[float | None]] = {}
    for cell in cells:
        rewards.setdefault(cell.example, []).append(cell.reward)
    if max(map(len, rewards.values()), default=0) <= 1:
        return None
    whole = [found for found in rewards.values() if None not in found]
    if not whole:
        return None
    same = sum(len({to_units(value) for value in found if value is not None}) == 1
               for found in whole)  # fmt: skip
    return same / len(whole)
