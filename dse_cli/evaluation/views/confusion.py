"""Which label was taken for which: counted from what classification signals note of an output."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell


class Confusion(NamedTuple):
    """One way to be wrong.

    Attributes:
        signal: id of the signal that saw it.
        expected, got: the two labels, as text.
        cells: how many.
    """

    signal: str
    expected: str
    got: str
    cells: int


def confusion_pairs(cells: Iterable[Cell]) -> tuple[Confusion, ...]:
    """Return the confused pairs of all cells, the most frequent first, then in order of labels.

    A signal takes part when its metadata has ``expected`` and ``got``.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for cell in cells:
        for signal in cell.signals:
            known = signal.metadata
            if signal.score < 1 and "expected" in known and "got" in known:
                counts[signal.id, _label(known["expected"]), _label(known["got"])] += 1
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(Confusion(*pair, cells) for pair, cells in ordered)


def _label(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
