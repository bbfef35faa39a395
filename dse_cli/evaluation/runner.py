"""Fills one cell: predict, then score."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dse_cli.contracts.evaluation import OUTAGES, Cell
from dse_cli.evaluation.ledger import Bound
from dse_cli.runtime.direct import DirectPredictor

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import SignalScore
    from dse_cli.contracts.lm import ModelIdentity
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.evaluation.executor import CellTask
    from dse_cli.evaluation.reward import Reward
    from dse_cli.lm.layer import Layer
    from dse_cli.runtime.policy import ModelRole

#: nano-dollars per token, the dearer of prompt and completion; None when no price is known
PriceBound = Callable[[str], int | None]


class SignatureRunner:
    """Runs candidates of a single signature through ``direct.v1`` and a reward.

    Args:
        layer: the gateway.
        identify: resolved model name to identity.
        reward: scores outputs.
        price_bound: dearest price per token by resolved model name; asked once a candidate.
    """

    def __init__(
        self,
        layer: Layer,
        identify: Callable[[str], ModelIdentity],
        reward: Reward,
        *,
        price_bound: PriceBound = lambda model: None,
    ) -> None:
        self._layer = layer
        self._identify = identify
        self._reward = reward
        self._price_bound = price_bound
        self._predictors: dict[str, DirectPredictor] = {}
        self._prices: dict[str, int | None] = {}

    async def run(self, task: CellTask) -> Cell:
        """Predict and score one cell."""
        predictor = self._predictor(task.candidate)
        row = task.row
        prediction = await predictor.predict(row.input, path=task.path, rollout=task.rollout)
        error = prediction.error
        reward: float | None = None
        signals: tuple[SignalScore, ...] = ()
        if error is None or error.kind not in OUTAGES:
            scored = self._reward.score(prediction.output, error, row)
            reward, signals, error = scored.reward, scored.signals, scored.error
        return Cell(
            candidate=task.candidate.id,
            example=row.id,
            example_hash=row.hash,
            rollout=task.rollout,
            reward=reward,
            signals=signals,
            output=prediction.output,
            output_hash=prediction.output_hash,
            error=error,
            usage=prediction.usage,
            served_model=prediction.served_model,
            scripted=prediction.scripted,
        )

    def bound(self, candidate: Candidate, row: Row) -> Bound:
        """Return what a cell of this candidate on this row cannot exceed."""
        predictor = self._predictor(candidate)
        tokens = predictor.token_bound(row.input)
        price = self._price(candidate)
        cost = None if tokens is None or price is None else tokens * price
        return Bound(1, predictor.call_bound(), tokens, cost)

    def _price(self, candidate: Candidate) -> int | None:
        """Return the price of a token of the dearest model that the candidate may call."""
        if candidate.id not in self._prices:
            roles: tuple[ModelRole, ...] = ("main", "repair")
            names = sorted({candidate.main.model(role).model or "" for role in roles})
            prices = [self._price_bound(name) for name in names]
            known = [price for price in prices if price is not None]
            self._prices[candidate.id] = max(known) if len(known) == len(prices) else None
        return self._prices[candidate.id]

    def _predictor(self, candidate: Candidate) -> DirectPredictor:
        found = self._predictors.get(candidate.id)
        if found is None:
            found = DirectPredictor(candidate.main, self._layer, self._identify)
            self._predictors[candidate.id] = found
        return found
