"""Draws of an optimizer from a named sub-stream, the same bits for ever.

Python promises the stream of ``Random.random()`` across its versions, not how ``shuffle``,
``choice`` or ``randrange`` use it, and promises nothing of numpy's Poisson. What ends in a receipt
is therefore made of ``random()`` alone.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

Item = TypeVar("Item")


def below(draw: random.Random, count: int) -> int:
    """Return an integer from 0 to ``count`` - 1."""
    # A product of floats may round up to `count` itself.
    return min(int(draw.random() * count), count - 1)


def choice(draw: random.Random, items: Sequence[Item]) -> Item:
    """Return one of the items, each as likely as the other."""
    return items[below(draw, len(items))]


def shuffled(draw: random.Random, items: Sequence[Item]) -> list[Item]:
    """Return the items in a drawn order (Fisher and Yates)."""
    order = list(items)
    for last in range(len(order) - 1, 0, -1):
        other = below(draw, last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def softmax_index(draw: random.Random, scores: Sequence[float], temperature: float) -> int:
    """Return a place, drawn with weight exp(score / temperature).

    Args:
        temperature: above 0; the lower, the surer the best score wins.
    """
    top = max(scores)
    # Only differences count, and exp of a difference from the top cannot overflow.
    sums = list(accumulate(math.exp((score - top) / temperature) for score in scores))
    mark = draw.random() * sums[-1]
    return next((place for place, upto in enumerate(sums) if mark < upto), len(sums) - 1)


def poisson(draw: random.Random, mean: float) -> int:
    """Return a count with a Poisson distribution (Knuth, TAOCP 2, 3.4.1; means up to some 700)."""
    limit = math.exp(-mean)
    count, product = 0, draw.random()
    while product > limit:
        count += 1
        product *= draw.random()
    return count
