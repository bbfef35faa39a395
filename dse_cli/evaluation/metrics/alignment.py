"""The metric that aligns a list with the expected list.

Similarities are counted in whole millionths of a millionth, so that the best total is one number,
whichever of several equally good alignments an algorithm finds first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from dse_cli.contracts.metrics.lists import ListMatch
from dse_cli.evaluation.json_values import equal, normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import expected_list, listed, wrong
from dse_cli.evaluation.metrics.fields import field_share
from dse_cli.evaluation.metrics.sets import Overlap

_UNIT: Final = 10**12
#: Alignments are quadratic at least; a longer list is the answer of a model that ran away.
MAX_ITEMS: Final = 1_000

Weights = list[list[int]]


class Pair(NamedTuple):
    """One aligned pair: places in both lists, and its similarity in units."""

    got: int
    wanted: int
    weight: int


def list_match(config: ListMatch, sample: Sample) -> MetricResult:
    """Return the F1 of the aligned weight: 2 x total similarity / (items got + items expected)."""
    wanted = normalized(expected_list(sample.expected, config.field), config.normalize)
    if len(wanted) > MAX_ITEMS:
        said = f"expected.{config.field} lists {len(wanted)} items"
        raise MetricError(f"{said}; at most {MAX_ITEMS} can be aligned")
    written = value_at(sample.output, config.field)
    if not isinstance(written, list):
        return wrong(config.field, written, f"a list of {len(wanted)} items")
    if len(written) > MAX_ITEMS:
        words = f"{config.field}: got {len(written)} items, expected {len(wanted)}"
        return MetricResult(0.0, f"{words}; more than {MAX_ITEMS} are not compared")
    got = normalized(written, config.normalize)
    weights = _weights(config, got, wanted)
    pairs = _in_order(weights) if config.order else _assigned(weights)
    total = sum(pair.weight for pair in pairs)
    overlap = Overlap.of(total, len(got) * _UNIT, len(wanted) * _UNIT)
    feedback = "" if overlap.f1 == 1 else _feedback(config, got, wanted, pairs)
    return MetricResult(overlap.f1, feedback, overlap._asdict())


def _weights(config: ListMatch, got: list[Any], wanted: list[Any]) -> Weights:
    alike = _similarity(config)
    return [[round(alike(left, right) * _UNIT) for right in wanted] for left in got]


def _similarity(config: ListMatch) -> Callable[[Any, Any], float]:
    rules = config.fields
    if rules is not None:
        return lambda left, right: field_share(rules, left, right).score
    if config.items == "exact":
        return equal
    from rapidfuzz.distance import Levenshtein

    def edit(left: Any, right: Any) -> float:
        if isinstance(left, str) and isinstance(right, str):
            return Levenshtein.normalized_similarity(left, right)
        return float(equal(left, right))

    return edit


def _in_order(weights: Weights) -> list[Pair]:
    """Return the heaviest alignment that keeps both orders (Needleman and Wunsch, gaps free)."""
    columns = len(weights[0]) if weights else 0
    best = [[0] * (columns + 1) for _ in range(len(weights) + 1)]
    for i, row in enumerate(weights, 1):
        for j, weight in enumerate(row, 1):
            best[i][j] = max(best[i - 1][j], best[i][j - 1], best[i - 1][j - 1] + weight)
    pairs: list[Pair] = []
    i, j = len(weights), columns
    while i and j:
        if best[i][j] == best[i - 1][j]:
            i -= 1
        elif best[i][j] == best[i][j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append(Pair(i, j, weights[i][j]))
    return pairs[::-1]


def _assigned(weights: Weights) -> list[Pair]:
    """Return a heaviest assignment of items to items."""
    if not weights or not weights[0]:
        return []
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(np.array(weights, dtype=np.float64), maximize=True)
    chosen = zip(rows.tolist(), columns.tolist(), strict=True)
    pairs = [Pair(i, j, weights[i][j]) for i, j in chosen]
    return [pair for pair in pairs if pair.weight]


def _feedback(config: ListMatch, got: list[Any], wanted: list[Any], pairs: list[Pair]) -> str:
    near = [
        _near(config, f"{config.field}.{pair.got}", got[pair.got], wanted[pair.wanted])
        for pair in pairs
        if pair.weight < _UNIT
    ]
    taken, met = {pair.got for pair in pairs}, {pair.wanted for pair in pairs}
    missed = [shown(item) for place, item in enumerate(wanted) if place not in met]
    extra = [shown(item) for place, item in enumerate(got) if place not in taken]
    parts = [listed(near, "; ")] if near else []
    parts += [f"{config.field}: missed {listed(missed)}"] if missed else []
    parts += [f"{config.field}: wrong {listed(extra)}"] if extra else []
    moved = config.order and sorted(missed) == sorted(extra) and missed
    return "; ".join([*parts, "the order is wrong"] if moved else parts)


def _near(config: ListMatch, place: str, got: Any, wanted: Any) -> str:
    if config.fields is not None:
        found = field_share(config.fields, got, wanted).wrong
        return listed((f"{place}.{words}" for words in found.values()), "; ")
    return f"{place}: got {shown(got)}, expected {shown(wanted)}"
