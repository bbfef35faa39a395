from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.errors import ProviderError
from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity, Usage
from dse_cli.contracts.reward import RewardSpec
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.rewards.reward import Reward
from dse_cli.evaluation.runner import SignatureRunner
from dse_cli.lm.scripted import ScriptedTransport
from tests.lm.calls import RealTransport
from tests.runtime.policies import RIGHT, make_policy

ROW = Row("r", {"ticket": "Charged twice"}, {"queue": "billing"}, "val")
REWARD = Reward(
    RewardSpec.model_validate(
        {"signals": [{"format_validity": 0.2}, {"exact_match": {"field": "queue", "weight": 0.8}}]}
    )
)


def fill(
    answer: Callable[[LmRequest], LmResponse | Exception], params: dict[str, Any] | None = None
) -> Cell:
    runner = SignatureRunner(RealTransport(answer), ModelIdentity, REWARD)
    candidate = Candidate.of(make_policy(params))
    return asyncio.run(runner.run(CellTask(candidate, ROW, 2, "cand=0/ex=1")))


def says(text: str) -> Callable[[LmRequest], LmResponse]:
    return lambda _: LmResponse(text, "stop", "tiny-1", Usage(3, 2, 1))


def test_a_cell_says_who_answered_what_on_which_row_and_how_good_it_was() -> None:
    cell = fill(says(RIGHT))
    assert (cell.example, cell.example_hash, cell.rollout) == ("r", ROW.hash, 2)
    assert cell.candidate == make_policy().id
    assert cell.reward == 1.0
    assert [signal.id for signal in cell.signals] == ["format_validity", "exact_match:queue"]
    assert cell.output == {"queue": "billing"}
    assert cell.output_hash is not None
    assert (cell.served_model, cell.scripted, cell.usage.lm_calls) == ("tiny-1", False, 1)


def test_a_wrong_answer_scores_what_its_signals_say() -> None:
    assert fill(says('{"queue":"other"}')).reward == pytest.approx(0.2)


def test_an_answer_that_does_not_decode_scores_zero_and_keeps_its_error() -> None:
    cell = fill(says("no"), {"decode": {"max_repairs": 0}})
    assert cell.reward == 0.0
    assert cell.error is not None
    assert cell.error.kind == "decode"
    assert not cell.is_outage


def test_an_outage_has_no_reward_and_no_signals() -> None:
    cell = fill(lambda _: ProviderError("down"))
    assert (cell.reward, cell.signals, cell.output) == (None, (), None)
    assert cell.is_outage


def test_a_scripted_answer_marks_the_cell() -> None:
    runner = SignatureRunner(ScriptedTransport(lambda _: RIGHT), ModelIdentity, REWARD)
    task = CellTask(Candidate.of(make_policy()), ROW, 0, "p")
    assert asyncio.run(runner.run(task)).scripted


def bound(params: dict[str, Any], prices: dict[str, int]) -> tuple[Bound, list[str]]:
    asked: list[str] = []

    def price(model: str) -> int | None:
        asked.append(model)
        return prices.get(model)

    runner = SignatureRunner(RealTransport(says(RIGHT)), ModelIdentity, REWARD, price_bound=price)
    candidate = Candidate.of(make_policy(params))
    runner.bound(candidate, ROW)
    return runner.bound(candidate, ROW), asked


def test_the_bound_takes_the_price_of_the_dearest_model_that_may_be_called() -> None:
    params = {
        "model": {"max_tokens": 10},
        "model_roles": {"repair": {"model": "openai/dear"}},
    }
    found, asked = bound(params, {"openai/tiny": 2, "openai/dear": 30})
    assert found.metric_calls == 1
    assert found.lm_calls == 2
    assert found.tokens is not None
    assert found.cost_nano_usd == 30 * found.tokens
    assert sorted(asked) == ["openai/dear", "openai/tiny"], "a price is looked up once a candidate"


def test_a_bound_is_unknown_when_a_price_or_the_length_of_answers_is() -> None:
    roles = {"model_roles": {"repair": {"model": "openai/dear"}}}
    capped = {"model": {"max_tokens": 10}, **roles}
    assert bound(capped, {"openai/tiny": 2})[0].cost_nano_usd is None
    unbounded = bound(roles, {"openai/tiny": 2, "openai/dear": 3})[0]
    assert (unbounded.tokens, unbounded.cost_nano_usd) == (None, None)


def test_a_penalty_reads_the_usage_of_the_prediction_and_is_told_in_the_cell():
    reward = Reward(
        RewardSpec.model_validate(
            {
                "signals": [{"exact_match": {"field": "queue", "weight": 1}}],
                "penalties": [{"tokens": {"target": 0, "limit": 10}}],
            }
        )
    )
    runner = SignatureRunner(RealTransport(says(RIGHT)), ModelIdentity, reward)
    task = CellTask(Candidate.of(make_policy()), ROW, 0, "cand=0/ex=1")
    cell = asyncio.run(runner.run(task))
    assert (cell.reward, cell.penalty) == (0.75, 0.5)
    assert cell.penalty_feedback == "tokens: 5 tokens, target 0, limit 10"
    [failure] = cell.failures
    assert failure.message == "tokens: 5 tokens, target 0, limit 10; this makes the reward 0.75"
