"""Asks the judges of one cell, through the same gateway as the policy that they judge.

So the calls of a judge are cached, counted against the budget, recorded and replayed like any
other. Their logical path is ``<cell>/step=judge:<index of the signal>``, and for a pairwise judge
``/order=ab`` and ``/order=ba`` below it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from dse_cli.contracts.errors import UsageError
from dse_cli.contracts.evaluation import CellError, CellUsage, JudgeCall
from dse_cli.contracts.metrics.judges import PairwiseJudge
from dse_cli.evaluation.judges.pinned_judge import is_of_output
from dse_cli.evaluation.judges.verdicts import verdict
from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.metric_result import MetricResult
from dse_cli.runtime.direct import DirectPredictor
from dse_cli.runtime.prediction import Prediction

if TYPE_CHECKING:
    from dse_cli.contracts.lm import ModelIdentity
    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
    from dse_cli.evaluation.metric_result import Sample
    from dse_cli.lm.layer import Layer
    from dse_cli.runtime.policy import ModelRole, Policy


_NOTHING: Final = CellUsage()


class Judgement(NamedTuple):
    """What the judges of one cell came to.

    Attributes:
        verdicts: result by index of the signal; incomplete when there is an error.
        calls: what each judge was asked, in the order of the reward.
        error: why the cell cannot be scored, or None.
    """

    verdicts: Mapping[int, MetricResult]
    calls: tuple[JudgeCall, ...]
    error: CellError | None

    @property
    def usage(self) -> CellUsage:
        """What all judges used."""
        if not self.calls:
            return _NOTHING
        return total_usage(call.usage for call in self.calls)

    @property
    def scripted(self) -> bool:
        return any(call.scripted for call in self.calls)


class JudgePanel:
    """The judges of a reward.

    Args:
        judges: in the order of the reward; there may be none.
        layer: the gateway.
        identify: resolved model name to identity.
        price_bound: dearest nano-dollars per token by resolved model name.
    """

    def __init__(
        self,
        judges: Sequence[PinnedJudge],
        layer: Layer,
        identify: Callable[[str], ModelIdentity],
        price_bound: Callable[[str], int | None],
    ) -> None:
        self._judges = tuple(judges)
        self._predictors = [DirectPredictor(one.policy, layer, identify) for one in self._judges]
        self._price_bound = price_bound
        self._prices: dict[str, int | None] = {}
        #: The judgement of a cell without an output: nobody was asked.
        self.silent: Final = Judgement({}, tuple(_call(judge, ()) for judge in self._judges), None)

    async def judge(self, sample: Sample, *, path: str, rollout: int) -> Judgement:
        """Ask every judge about one output, at the same time.

        Args:
            path: logical path of the cell.
            rollout: of the cell; judges are sampled with it.
        """
        if not self._judges:
            return self.silent
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(_ask(judge, predictor, sample, path, rollout))
                    for judge, predictor in zip(self._judges, self._predictors, strict=True)
                ]
        except BaseExceptionGroup as failures:
            # One judge failed and the group cancelled the rest: show the cause, not the group.
            raise failures.exceptions[0] from None
        # In the order of the reward, whoever answered first.
        return _judgement(self._judges, [task.result() for task in tasks])

    def bound(self, sample: Sample, answer_bytes: int | None) -> Bound:
        """Return what judging one output cannot exceed.

        Args:
            sample: its output is not looked at.
            answer_bytes: most bytes of an output, None when it is not bounded.
        """
        found = Bound()
        for judge, predictor in zip(self._judges, self._predictors, strict=True):
            price = self._price(judge.policy)
            for _, paths in judge.questions:
                tokens = _token_bound(judge, predictor, paths, sample, answer_bytes)
                cost = None if tokens is None or price is None else tokens * price
                found = found + Bound(0, predictor.call_bound(), tokens, cost)
        return found

    def _price(self, policy: Policy) -> int | None:
        if policy.id not in self._prices:
            self._prices[policy.id] = dearest_price(policy, self._price_bound)
        return self._prices[policy.id]


def dearest_price(policy: Policy, price_bound: Callable[[str], int | None]) -> int | None:
    """Return the price of a token of the dearest model that a policy may call; None if unknown."""
    roles: tuple[ModelRole, ...] = ("main", "repair")
    names = {policy.model(role).model or "" for role in roles}
    if policy.selector is not None:
        names.add(policy.selector.embedder)
    prices = [price_bound(name) for name in sorted(names)]
    known = [price for price in prices if price is not None]
    return max(known) if len(known) == len(prices) else None


def total_usage(usages: Iterable[CellUsage]) -> CellUsage:
    """Return the sum; a part that is unknown makes its sum unknown."""
    found = list(usages)
    return CellUsage(
        lm_calls=sum(usage.lm_calls for usage in found),
        repairs=sum(usage.repairs for usage in found),
        prompt_tokens=_sum(usage.prompt_tokens for usage in found),
        completion_tokens=_sum(usage.completion_tokens for usage in found),
        cost_nano_usd=_sum(usage.cost_nano_usd for usage in found),
    )


async def _ask(
    judge: PinnedJudge, predictor: DirectPredictor, sample: Sample, path: str, rollout: int
) -> list[Prediction]:
    """Return the answers of one judge in the order of its questions, up to one that failed."""
    answers: list[Prediction] = []
    for suffix, paths in judge.questions:
        place = f"{path}/step=judge:{judge.index}{suffix}"
        shown = judge.value(paths, sample)
        try:
            answer = await predictor.predict(shown, path=place, rollout=rollout)
        except UsageError as error:  # an output that the judge's input schema does not take
            refused = CellError("metric", error.message)
            answer = Prediction(output=None, error=refused, usage=CellUsage())
        answers.append(answer)
        if answer.error is not None:
            break
    return answers


def _judgement(judges: Sequence[PinnedJudge], answers: Sequence[Sequence[Prediction]]) -> Judgement:
    verdicts: dict[int, MetricResult] = {}
    calls: list[JudgeCall] = []
    errors: list[CellError] = []
    for judge, given in zip(judges, answers, strict=True):
        found = verdict(judge, given)
        disagreed = None
        if isinstance(found, CellError):
            errors.append(found)
        else:
            verdicts[judge.index] = found
            disagreed = found.metadata.get("disagreed")
        calls.append(_call(judge, given, disagreed))
    return Judgement(verdicts, tuple(calls), errors[0] if errors else None)


def _call(
    judge: PinnedJudge, answers: Sequence[Prediction], disagreed: bool | None = None
) -> JudgeCall:
    return JudgeCall(
        signal=judge.signal,
        signature_id=judge.policy.signature.id,
        compiled_id=judge.policy.id,
        usage=total_usage(answer.usage for answer in answers),
        served_models=tuple(sorted({a.served_model for a in answers if a.served_model})),
        scripted=any(answer.scripted for answer in answers),
        disagreed=disagreed,
        is_pairwise=isinstance(judge.config, PairwiseJudge),
    )


def _token_bound(
    judge: PinnedJudge,
    predictor: DirectPredictor,
    paths: Mapping[str, str],
    sample: Sample,
    answer_bytes: int | None,
) -> int | None:
    """Return tokens of one question; of the output only its greatest length is known yet."""
    of_row = {name: path for name, path in paths.items() if not is_of_output(path)}
    of_output = [name for name in paths if name not in of_row]
    if of_output and answer_bytes is None:
        return None
    known = {**judge.value(of_row, sample), **dict.fromkeys(of_output, "")}
    return predictor.token_bound(known, len(of_output) * (answer_bytes or 0))


def _sum(counts: Iterable[int | None]) -> int | None:
    found = list(counts)
    known = [count for count in found if count is not None]
    return sum(known) if len(known) == len(found) else None
