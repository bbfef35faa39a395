"""Fills one cell: predict, ask the judges, then score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from dse_cli.contracts.evaluation import OUTAGES, Cell
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.failures import failures_of
from dse_cli.evaluation.judges.judging import JudgePanel, dearest_price
from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.metric_result import Sample
from dse_cli.evaluation.rewards.reward import Reward, ScoredOutput
from dse_cli.runtime.demo_selection import embed_bound
from dse_cli.runtime.direct import DirectPredictor
from dse_cli.runtime.embedding import embedded

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.lm import ModelIdentity
    from dse_cli.evaluation.executor import CellTask
    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
    from dse_cli.evaluation.query import Query
    from dse_cli.lm.layer import Layer
    from dse_cli.runtime.prediction import Prediction

#: nano-dollars per token, the dearer of prompt and completion; None when no price is known
PriceBound = Callable[[str], int | None]


class SignatureRunner:
    """Runs candidates of a single signature through ``direct.v1`` and a reward.

    Args:
        layer: the gateway.
        identify: resolved model name to identity.
        reward: scores outputs.
        judges: of the reward, all of them.
        price_bound: dearest price per token by resolved model name; asked once a candidate.

    Raises:
        ValueError: the reward has a judge that is not among ``judges``.
    """

    def __init__(
        self,
        layer: Layer,
        identify: Callable[[str], ModelIdentity],
        reward: Reward,
        *,
        judges: Sequence[PinnedJudge] = (),
        price_bound: PriceBound = lambda model: None,
    ) -> None:
        if [judge.index for judge in judges] != [index for index, _ in reward.judges]:
            raise ValueError("a judge of the reward is not there to be asked")
        self._layer = layer
        self._identify = identify
        self._reward = reward
        self._price_bound = price_bound
        self._panel = JudgePanel(judges, layer, identify, price_bound)
        self._predictors: dict[str, DirectPredictor] = {}
        self._prices: dict[str, int | None] = {}

    async def run(self, task: CellTask) -> Cell:
        """Predict, judge and score one cell."""
        predictor = self._predictor(task.candidate)
        row = task.row
        prediction = await predictor.predict(
            row.input, path=f"{task.path}/step=predict", rollout=task.rollout
        )
        error = prediction.error
        judged = self._panel.silent
        if error is None:
            sample = Sample(prediction.output, row.expected, row.input)
            judged = await self._panel.judge(sample, path=task.path, rollout=task.rollout)
            error = judged.error
        if error is not None and error.kind in OUTAGES:
            scored = ScoredOutput(None, (), error)
        else:
            scored = self._reward.score(
                prediction.output, error, row, verdicts=judged.verdicts, usage=prediction.usage
            )
        return Cell(
            candidate=task.candidate.id,
            example=row.id,
            example_hash=row.hash,
            rollout=task.rollout,
            reward=scored.reward,
            signals=scored.signals,
            output=prediction.output,
            output_hash=prediction.output_hash,
            error=scored.error,
            failures=failures_of(scored, prediction.output, row),
            usage=prediction.usage,
            judging=judged.usage,
            judges=judged.calls,
            served_model=prediction.served_model,
            scripted=prediction.scripted or judged.scripted,
            penalty=scored.penalty,
            penalty_feedback=scored.penalty_feedback,
        )

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        """Return what a cell of this candidate on this row cannot exceed, its judges included."""
        predictor = self._predictor(candidate)
        tokens = predictor.token_bound(row.input)
        price = self._price(candidate)
        cost = None if tokens is None or price is None else tokens * price
        sample = Sample(None, row.expected, row.input)
        judging = self._panel.bound(sample, predictor.answer_bound())
        return Bound(1, predictor.call_bound(), tokens, cost) + judging

    async def answer(self, query: Query) -> Prediction:
        """Ask a policy that is not under search; outages are in the prediction, never raised."""
        if query.embedder is not None:
            identity = self._identify(query.embedder)
            return await embedded(self._layer, identity, query.value, query.path)
        predictor = self._predictor(Candidate.of(query.policy))
        return await predictor.predict(query.value, path=query.path, rollout=query.rollout)

    def query_bound(self, query: Query) -> Bound:
        """Return what the answer cannot exceed; it is no metric call."""
        if query.embedder is not None:
            return self._embed_bound(query.embedder, embed_bound(query.value))
        candidate = Candidate.of(query.policy)
        predictor = self._predictor(candidate)
        tokens = predictor.token_bound(query.value)
        price = self._price(candidate)
        cost = None if tokens is None or price is None else tokens * price
        return Bound(0, predictor.call_bound(), tokens, cost)

    def _embed_bound(self, embedder: str, tokens: int) -> Bound:
        price = self._price_bound(embedder)
        return Bound(0, 1, tokens, None if price is None else tokens * price)

    def _price(self, candidate: Candidate) -> int | None:
        """Return the price of a token of the dearest model that the candidate may call."""
        if candidate.id not in self._prices:
            self._prices[candidate.id] = dearest_price(candidate.main, self._price_bound)
        return self._prices[candidate.id]

    def _predictor(self, candidate: Candidate) -> DirectPredictor:
        found = self._predictors.get(candidate.id)
        if found is None:
            found = DirectPredictor(candidate.main, self._layer, self._identify)
            self._predictors[candidate.id] = found
        return found
