"""Questions of the search itself: proposals, summaries, reflections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dse_cli.contracts.errors import InfrastructureError
from dse_cli.contracts.evaluation import CellError, CellUsage
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.engine import Engine
from dse_cli.evaluation.ledger import Bound, BudgetStopError, ShareStopError
from dse_cli.evaluation.query import Query
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import (
    FakeRunner,
    Watcher,
    answered,
    make_candidate,
    make_engine,
    make_rows,
)
from tests.runtime.policies import make_policy

POLICY = make_policy()
BOUND = Bound(1, 2, 20, 300)


def queries(count: int) -> list[Query]:
    return [Query(POLICY, {"ticket": f"t{n}"}, f"propose/{n}") for n in range(count)]


def echo(query: Query) -> Prediction:
    return answered({"queue": query.value["ticket"]})


def ask(engine: Engine, asked: list[Query]) -> list[Prediction]:
    return asyncio.run(engine.ask(asked))


def asker(**options: Any) -> tuple[Engine, FakeRunner]:
    reply = options.pop("reply", echo)
    runner = FakeRunner(bound=BOUND, reply=reply)
    return make_engine(runner, **options), runner


def test_answers_come_in_the_order_of_the_questions() -> None:
    engine, _ = asker(concurrency=3)
    assert [answer.output for answer in ask(engine, queries(7))] == [
        {"queue": f"t{n}"} for n in range(7)
    ]


def test_a_question_is_charged_and_is_no_metric_call() -> None:
    engine, _ = asker()
    ask(engine, queries(3))
    assert engine.ledger.to_json() == {
        "metric_calls": 0,
        "lm_calls": 3,
        "tokens": 30,
        "cost_nano_usd": 300,
    }


def test_no_question_is_no_batch() -> None:
    engine, runner = asker()
    assert ask(engine, []) == []
    watcher = Watcher()
    assert runner.queries == [] == watcher.batches


@pytest.mark.parametrize("limit", [{"max_lm_calls": 5}, {"max_tokens": 59}])
def test_questions_that_do_not_fit_the_budget_are_not_asked(limit: dict[str, Any]) -> None:
    engine, runner = asker(**limit)
    with pytest.raises(BudgetStopError) as stopped:
        ask(engine, queries(3))
    assert stopped.value.budget == next(iter(limit))
    assert runner.queries == []


def test_the_proposers_share_ends_proposals_and_not_the_search() -> None:
    engine, runner = asker(max_lm_calls=10, proposer_share=0.45)
    ask(engine, queries(2))
    with pytest.raises(
        ShareStopError, match=r"max_lm_calls: 2 of 4 used, the next batch may need 4"
    ):
        ask(engine, queries(2))
    assert len(runner.queries) == 2
    asyncio.run(engine.evaluate(make_candidate("one"), make_rows(4)))
    assert engine.ledger.lm_calls == 6


def test_a_share_of_nothing_asks_nothing() -> None:
    engine, runner = asker(max_lm_calls=10, proposer_share=0.0)
    with pytest.raises(ShareStopError):
        ask(engine, queries(1))
    assert runner.queries == []


def test_cells_do_not_use_up_the_proposers_share() -> None:
    engine, runner = asker(max_lm_calls=20, proposer_share=0.2)
    asyncio.run(engine.evaluate(make_candidate("one"), make_rows(8)))
    ask(engine, queries(2))
    assert len(runner.queries) == 2


def test_what_one_share_leaves_is_there_for_the_rest_of_the_run() -> None:
    engine, runner = asker(max_metric_calls=5, max_lm_calls=10, proposer_share=0.9)
    asyncio.run(engine.evaluate(make_candidate("one"), make_rows(5)))
    assert len(runner.tasks) == 5


def test_an_answer_that_does_not_decode_is_an_answer() -> None:
    def junk(query: Query) -> Prediction:
        return answered(None, CellError("decode", "no JSON object"))

    engine, _ = asker(reply=junk)
    (answer,) = ask(engine, queries(1))
    assert answer.error is not None
    assert answer.error.kind == "decode"


def test_too_many_outages_end_the_run_resumable_and_name_the_question() -> None:
    def down(query: Query) -> Prediction:
        error = CellError("provider", "it is down") if query.path == "propose/1" else None
        return answered(None if error else {"queue": "x"}, error)

    engine, _ = asker(reply=down)
    with pytest.raises(
        InfrastructureError, match=r"1 of 3 questions .* at propose/1: it is down"
    ) as e:
        ask(engine, queries(3))
    assert "--resume" in (e.value.hint or "")


def test_a_question_of_unknown_usage_makes_the_sum_unknown() -> None:
    def unknown(query: Query) -> Prediction:
        return Prediction({"queue": "x"}, None, CellUsage(1, 0, None, None, None))

    engine, _ = asker(reply=unknown)
    ask(engine, queries(1))
    assert engine.ledger.tokens is None


def test_a_replay_stops_before_the_question_at_which_the_recorded_run_stopped() -> None:
    engine, runner = asker(stop_at=1)
    ask(engine, queries(1))
    with pytest.raises(BudgetStopError) as stopped:
        ask(engine, queries(1))
    assert (stopped.value.budget, stopped.value.batch) == ("max_time_s", 1)
    assert len(runner.queries) == 1


def test_a_replay_refuses_for_the_share_what_was_refused_before_a_time_stop() -> None:
    engine, _ = asker(max_lm_calls=100, proposer_share=0.05, stop_at=1)
    ask(engine, queries(2))
    with pytest.raises(ShareStopError):  # and the recorded search went on to work that timed out
        ask(engine, queries(2))
    with pytest.raises(BudgetStopError) as stopped:
        asyncio.run(engine.evaluate(make_candidate("one"), make_rows(1)))
    assert (stopped.value.budget, stopped.value.batch) == ("max_time_s", 1)


def test_a_time_stop_undoes_the_questions_that_it_ended() -> None:
    undone: list[list[str]] = []

    async def never() -> list[Prediction]:
        await asyncio.Event().wait()
        return []

    class Stuck:
        async def run(self, tasks: Any, on_cell: Any) -> Any:
            raise AssertionError

        async def ask(self, asked: Any) -> list[Prediction]:
            return await never()

    runner = FakeRunner(bound=BOUND)
    engine = make_engine(runner, executor=Stuck(), max_time_s=0.01, roll_back=undone.append)
    with pytest.raises(BudgetStopError, match="which was undone"):
        ask(engine, queries(2))
    assert undone == [["propose/0", "propose/1"]]


def test_a_row_never_scores_a_candidate_that_shows_it() -> None:
    row = make_rows(1)[0]
    demo = {"id": row.id, "input": row.input, "output": row.expected, "source": "bootstrapped"}
    shows = Candidate.of(POLICY.patched({"few_shot": {"examples": [demo]}}))
    engine, runner = asker()
    with pytest.raises(ValueError, match="r000 would score a candidate that shows it"):
        asyncio.run(engine.evaluate(shows, [row]))
    assert runner.tasks == []


def test_an_authored_demo_may_have_any_id() -> None:
    row = make_rows(1)[0]
    demo = {"id": row.id, "input": {"ticket": "another"}, "output": row.expected}
    engine, runner = asker()
    asyncio.run(
        engine.evaluate(Candidate.of(POLICY.patched({"few_shot": {"examples": [demo]}})), [row])
    )
    assert len(runner.tasks) == 1
