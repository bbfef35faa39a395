"""The metric of ranked retrieval, with binary relevance."""

from __future__ import annotations

import math
from typing import Any

from dse_cli.contracts.metrics.lists import Retrieval
from dse_cli.evaluation.json_values import shown, value_at
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.common import expected_list, listed, wrong
from dse_cli.evaluation.metrics.sets import Overlap, keyed


def retrieval(config: Retrieval, sample: Sample) -> MetricResult:
    """Return how well a ranked list finds the relevant ids.

    A repeated id counts once, at its first place. With R relevant ids, and the first k distinct
    ones of the list (all without k) of which h are relevant: precision h / how many there are,
    recall h / R, F1 of both; MRR 1 / rank of the first relevant one; nDCG the sum of 1 / log2(rank
    + 1) over the relevant ones, over the same sum if the first min(R, k) were relevant (Järvelin
    and Kekäläinen 2002, gains of 0 and 1). When nothing is relevant, an empty list is perfect.
    """
    relevant = keyed(expected_list(sample.expected, config.relevant or config.field))
    got = value_at(sample.output, config.field)
    words = listed(shown(relevant[key]) for key in sorted(relevant))
    if not isinstance(got, list):
        return wrong(config.field, got, f"a list with {words}" if words else "an empty list")
    ranked = list(keyed(got).items())[: config.k]
    ranks = [rank for rank, (key, _) in enumerate(ranked, 1) if key in relevant]
    overlap = Overlap.of(len(ranks), len(ranked), len(relevant))
    empty = 1.0 if not relevant and not ranked else 0.0
    measures = {
        **overlap._asdict(),
        "mrr": 1 / ranks[0] if ranks else empty,
        "ndcg": _ndcg(ranks, len(relevant), config.k) if relevant else empty,
    }
    score = measures[config.measure]
    feedback = "" if score == 1 else _feedback(config, dict(ranked), relevant, ranks)
    return MetricResult(score, feedback, measures)


def _ndcg(ranks: list[int], relevant: int, k: int | None) -> float:
    best = range(1, (relevant if k is None else min(relevant, k)) + 1)
    return min(1.0, _gain(ranks) / _gain(best))


def _gain(ranks: list[int] | range) -> float:
    return math.fsum(1 / math.log2(rank + 1) for rank in ranks)


def _feedback(
    config: Retrieval, ranked: dict[str, Any], relevant: dict[str, Any], ranks: list[int]
) -> str:
    within = f" among the first {config.k}" if config.k is not None else ""
    missed = listed(shown(relevant[key]) for key in sorted(relevant.keys() - ranked.keys()))
    other = listed(shown(value) for key, value in ranked.items() if key not in relevant)
    at = f" at rank {', '.join(map(str, ranks))}" if ranks else ""
    parts = [f"{len(ranks)} of {len(relevant)} relevant ids{within}{at}"]
    parts += [f"missed: {missed}"] if missed else []
    parts += [f"not relevant, in their order: {other}"] if other else []
    return f"{config.field}: {'; '.join(parts)}"
