"""From cells to an :class:`EvalSummary`: numbers that can be re-derived, in any order of cells."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.evaluation import (
    CostTotal,
    EvalSummary,
    Interval,
    RepeatScores,
    Slice,
)
from dse_cli.evaluation.collector import rare_collections
from dse_cli.evaluation.judges.judge_summary import judge_summaries
from dse_cli.evaluation.seeds import substream_seed
from dse_cli.evaluation.statistics.intervals import DECIMALS, mean_interval
from dse_cli.evaluation.statistics.resampling import quantile

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell

#: A rollout passes when its reward is 1, up to rounding.
PASSES: Final = 1 - 1e-9
_QUANTILES: Final = {"p05": 0.05, "p25": 0.25, "p50": 0.5, "p75": 0.75, "p95": 0.95}


@rare_collections()
def summarize(
    cells: Sequence[Cell],
    *,
    split: str,
    dataset_revision: str,
    split_hash: str,
    reward_hash: str,
    rows: Mapping[str, Row],
    seed: int,
) -> EvalSummary:
    """Summarise the cells of one candidate.

    Rollouts are averaged per example first. Outages have no reward: they are counted in
    ``failures`` and are not among ``n``; an example whose every rollout is an outage is None in
    ``rows``. The order of the cells does not matter.

    Args:
        cells: of one candidate, each (example, rollout) once.
        split: name of the split.
        dataset_revision: hash of the dataset.
        split_hash: hash of the selected rows.
        reward_hash: hash of the reward.
        rows: the dataset's rows by id, at least those in ``cells``.
        seed: of the interval.

    Raises:
        ValueError: cells of several candidates, a cell twice, or an unknown example.
    """
    examples = _by_example(cells, rows)
    ordered = [cell for found in examples.values() for cell in found]
    rewards = {example: _mean(_rewards(found)) for example, found in examples.items()}
    scored = {example: value for example, value in rewards.items() if value is not None}
    judges = judge_summaries(ordered)
    return EvalSummary(
        format="dse/eval_summary/v1",
        split=split,
        n=len(scored),
        mean=_mean(scored.values()),
        interval=_interval(scored, rows, seed),
        signals=_signal_means(examples),
        quantiles=_quantiles(scored.values()),
        slices=_slices(scored, rows),
        failures=dict(sorted(Counter(c.error.kind for c in ordered if c.error).items())),
        repairs=sum(cell.usage.repairs for cell in ordered),
        lm_calls=sum(cell.usage.lm_calls for cell in ordered),
        prompt_tokens=_total(cell.usage.prompt_tokens for cell in ordered),
        completion_tokens=_total(cell.usage.completion_tokens for cell in ordered),
        cost=_cost(ordered),
        repeat=_repeat(examples),
        dataset_revision=dataset_revision,
        split_hash=split_hash,
        reward_hash=reward_hash,
        models=tuple(sorted({cell.served_model for cell in ordered if cell.served_model})),
        rows=rewards,
        scripted=any(cell.scripted for cell in ordered),
        # Only when there are any: what is not set is not written.
        **({"judges": judges} if judges else {}),
    )


def _by_example(cells: Sequence[Cell], rows: Mapping[str, Row]) -> dict[str, list[Cell]]:
    """Return the cells by example id, sorted, rollouts in order."""
    if len({cell.candidate for cell in cells}) > 1:
        raise ValueError("a summary is of one candidate")
    examples: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: (cell.example, cell.rollout)):
        found = examples.setdefault(cell.example, [])
        if found and found[-1].rollout == cell.rollout:
            raise ValueError(f"rollout {cell.rollout} of {cell.example!r} is there twice")
        if cell.example not in rows:
            raise ValueError(f"no row has the id {cell.example!r}")
        found.append(cell)
    return examples


def _rewards(cells: Iterable[Cell]) -> list[float]:
    return [cell.reward for cell in cells if cell.reward is not None and not cell.is_outage]


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(math.fsum(found) / len(found), DECIMALS) if found else None


def _interval(scored: Mapping[str, float], rows: Mapping[str, Row], seed: int) -> Interval | None:
    if not scored:
        return None
    groups = [rows[example].group for example in scored]
    low, high = mean_interval(
        list(scored.values()), substream_seed(seed, "summary", "interval"), groups
    )
    return Interval(low=low, high=high)


def _signal_means(examples: Mapping[str, list[Cell]]) -> dict[str, float]:
    per_signal: dict[str, list[float]] = {}
    for cells in examples.values():
        scores: dict[str, list[float]] = {}
        for cell in cells:
            for signal in () if cell.is_outage else cell.signals:
                scores.setdefault(signal.id, []).append(signal.score)
        for name, found in scores.items():
            per_signal.setdefault(name, []).append(math.fsum(found) / len(found))
    means = {name: _mean(found) for name, found in sorted(per_signal.items())}
    return {name: mean for name, mean in means.items() if mean is not None}


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {}
    return {name: round(quantile(ordered, q), DECIMALS) for name, q in _QUANTILES.items()}


def _slices(scored: Mapping[str, float], rows: Mapping[str, Row]) -> dict[str, Slice]:
    by_tag: dict[str, list[float]] = {}
    for example, value in scored.items():
        for tag in rows[example].tags:
            by_tag.setdefault(tag, []).append(value)
    means = {tag: (len(found), _mean(found)) for tag, found in sorted(by_tag.items())}
    return {tag: Slice(n=n, mean=mean) for tag, (n, mean) in means.items() if mean is not None}


def _total(counts: Iterable[int | None]) -> int | None:
    """Return the sum, or None when a part of it is unknown."""
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None


def _cost(cells: Sequence[Cell]) -> CostTotal:
    """Return the money that is known, and whether that is all of it."""
    known = [c.usage.cost_nano_usd for c in cells if c.usage.cost_nano_usd is not None]
    return CostTotal(nano_usd=sum(known), kind="exact" if len(known) == len(cells) else "unknown")


def _repeat(examples: Mapping[str, list[Cell]]) -> RepeatScores | None:
    """Return pass@k and pass^k over the examples of which all k rollouts have a reward."""
    k = max((len(cells) for cells in examples.values()), default=0)
    if k <= 1:
        return None
    whole = [found for cells in examples.values() if len(found := _rewards(cells)) == k]
    passed = [[reward >= PASSES for reward in found] for found in whole]
    at_least_one, every_one = _mean(map(any, passed)), _mean(map(all, passed))
    if at_least_one is None or every_one is None:
        return None
    return RepeatScores(rollouts=k, pass_at_k=at_least_one, pass_hat_k=every_one)
