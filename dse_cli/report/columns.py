"""Columns of a terminal: each as wide as its longest cell, so that a long name shifts nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

_GAP: Final = "  "
WIDEST: Final = 44  #: characters of one cell


def columns(
    rows: Sequence[Sequence[str]],
    aligned: str,
    *,
    indent: str = "",
    widest: int | None = WIDEST,
) -> Iterator[str]:
    """Yield rows of cells as lines.

    Args:
        rows: the header first; each has as many cells as ``aligned`` has characters.
        aligned: ``<`` or ``>`` for each column.
        indent: before each line.
        widest: most characters of a cell; longer ones are cut visibly. None cuts none.
    """
    cut = [[_cut(cell, widest) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cut, strict=True)]
    for row in cut:
        cells = [f"{cell:{side}{width}}" for cell, side, width in
                 zip(row, aligned, widths, strict=True)]  # fmt: skip
        yield (indent + _GAP.join(cells)).rstrip()


def _cut(cell: str, widest: int | None) -> str:
    return cell if widest is None or len(cell) <= widest else cell[: widest - 1] + "…"
