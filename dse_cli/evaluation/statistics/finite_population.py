"""Can the rest of a finite set of rows still turn a deficit? A paired test without replacement.

Selection is about the rows of val and no others. Of ``population`` paired differences, drawn in a
random order, some are seen; the question is whether the sum of *all* of them is above 0. Two things
follow that a test about rows of the future does not know: what is left can be bounded exactly, and
the sum of what was seen varies less the more was seen, by the finite population correction 1 - n/N
(Cochran 1977, Sampling Techniques, section 2.6). Clusters of rows need no care: rows are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dse_cli.evaluation.statistics.resampling import to_units


def lead_p(differences: Sequence[float], population: int) -> float:
    """Return the one-sided p of "over all rows, the leader is not above the other".

    The normal form of the sign-flip test, z = S / sqrt(sum of squares), which for rewards of 0 and
    1 is McNemar's, with the finite population correction. Sums are integers: the order of rows
    does not matter.

    Args:
        differences: leader minus other on the rows seen, each in [-1, 1].
        population: all rows, seen or not.

    Raises:
        ValueError: more rows were seen than there are.
    """
    seen = len(differences)
    if seen > population:
        raise ValueError(f"{seen} rows of {population} cannot have been seen")
    units = [to_units(value) for value in differences]
    total, squares = sum(units), sum(unit * unit for unit in units)
    if total <= 0:
        return 1.0 if total < 0 or seen == population else 0.5
    if seen == population:
        return 0.0
    spread = math.sqrt(squares) * math.sqrt((population - seen) / population)
    return 0.5 * math.erfc(total / spread / math.sqrt(2))


def is_out_of_reach(differences: Sequence[float], gains: Sequence[float]) -> bool:
    """Tell whether a deficit is larger than all that the rows not seen can give: exact.

    Args:
        differences: leader minus other on the rows seen.
        gains: for each row not seen, the most by which the other can win it: 1 minus the leader's
            reward where that is known, else 1.
    """
    return sum(map(to_units, differences)) > sum(map(to_units, gains))
