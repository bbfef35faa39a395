"""What the judges of a reward were asked, over the cells of one candidate.

Kept apart from the policy's own calls, tokens and money: a judge must not be held against a policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dse_cli.contracts.evaluation import CostTotal, JudgeSummary
from dse_cli.evaluation.judges.judging import total_usage

if TYPE_CHECKING:
    from dse_cli.contracts.evaluation import Cell, JudgeCall


def judge_summaries(cells: Iterable[Cell]) -> dict[str, JudgeSummary]:
    """Return a summary by signal id, in the order of the reward; the order of cells is free."""
    by_signal: dict[str, list[JudgeCall]] = {}
    for cell in cells:
        for call in cell.judges:
            by_signal.setdefault(call.signal, []).append(call)
    return {signal: _summary(calls) for signal, calls in by_signal.items()}


def _summary(calls: Sequence[JudgeCall]) -> JudgeSummary:
    usage = total_usage(call.usage for call in calls)
    known = [call.usage.cost_nano_usd for call in calls if call.usage.cost_nano_usd is not None]
    pairwise = {"disagreements": sum(call.disagreed is True for call in calls)}
    return JudgeSummary(
        signature_id=calls[0].signature_id,
        compiled_id=calls[0].compiled_id,
        models=tuple(sorted({model for call in calls for model in call.served_models})),
        judged=sum(call.usage.lm_calls > 0 for call in calls),
        lm_calls=usage.lm_calls,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=CostTotal(
            nano_usd=sum(known), kind="exact" if len(known) == len(calls) else "unknown"
        ),
        **(pairwise if calls[0].is_pairwise else {}),
    )
