"""Fisher's exact test, one-sided, in whole numbers (Fisher 1935, The Design of Experiments)."""

from __future__ import annotations

from fractions import Fraction
from math import comb


def more_errors_p(errors: int, samples: int, other_errors: int, other_samples: int) -> float:
    """Return the chance of at least so many errors if both channels err alike, 0 to 1.

    Given all errors of both together, how many fall on the first channel is hypergeometric; this is
    its upper tail, exact, rounded once at the end.

    Args:
        errors, samples: of the channel that may be worse.
        other_errors, other_samples: of the one it is compared with.

    Raises:
        ValueError: more errors than samples, or a negative number.
    """
    if not (0 <= errors <= samples and 0 <= other_errors <= other_samples):
        raise ValueError("errors are between 0 and the number of samples")
    drawn, marked = samples, errors + other_errors
    everything = samples + other_samples
    # The distribution is the same with both margins exchanged; the smaller one makes smaller
    # numbers, and receipts can be many.
    if min(marked, everything - marked) < min(drawn, everything - drawn):
        drawn, marked = marked, drawn
    unmarked = everything - marked
    term = comb(marked, errors) * comb(unmarked, drawn - errors)
    tail = 0
    for number in range(errors, min(marked, drawn) + 1):
        tail += term
        rest = unmarked - drawn + number + 1
        term = term * (marked - number) * (drawn - number) // ((number + 1) * rest)
    return float(Fraction(tail, comb(everything, drawn)))
