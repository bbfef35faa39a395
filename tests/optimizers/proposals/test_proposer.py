"""What becomes of the answers of a proposer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dse_cli.contracts.errors import InfrastructureError
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.job import SearchSpace
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.ledger import BudgetStopError
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.proposals.proposer import Ask, Proposal, Proposer
from dse_cli.optimizers.search import Search
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import FakeRunner, answered, make_engine, make_rows
from tests.runtime.policies import make_policy

PROPOSE = make_policy(
    input={"basic_instruction": "string", "tip": "string"}, output={"instruction": "string"}
)


def ask(place: str, **value: Any) -> Ask:
    return Ask("propose_instruction", {"basic_instruction": "Do it.", "tip": "", **value}, place)


def asks(count: int) -> list[Ask]:
    return [ask(f"test/instruction={index:03d}") for index in range(count)]


class Desk:
    """A search with a proposer that says what it is told to say, in turn."""

    def __init__(
        self,
        said: Sequence[Any] | Callable[[Query], Prediction] = (),
        *,
        seed: int = 7,
        meta: Policy = PROPOSE,
        **limits: Any,
    ) -> None:
        def reply(query: Query) -> Prediction:
            if callable(said):
                return said(query)
            number = int(query.path.rsplit("=", 1)[1])
            found = said[number]
            return found if isinstance(found, Prediction) else answered({"instruction": found})

        self.runner = FakeRunner(reply=reply)
        self.search = Search.start(
            make_engine(self.runner, **limits),
            make_policy(),
            train=[],
            val=make_rows(2),
            space=SearchSpace(),
            seed=seed,
            meta={"propose_instruction": meta},
        )
        self.proposer = Proposer(self.search, temperature=1.0, stream="test")

    def instructions(self, asked: Sequence[Ask], known: Sequence[str] = ()) -> list[Proposal]:
        return asyncio.run(self.proposer.instructions(asked, known=known, label="proposals"))

    def texts(self, asked: Sequence[Ask]) -> list[str | None]:
        return asyncio.run(self.proposer.texts(asked, "instruction", label="texts"))

    @property
    def outcomes(self) -> list[str]:
        return [record.outcome for record in self.search.log.proposals]


NO_JSON = answered(None, CellError("decode", "not one JSON value"))
DOWN = answered(None, CellError("provider", "it is down"))


def test_usable_and_new_texts_come_back_in_the_order_of_the_questions() -> None:
    desk = Desk(["  Sort it. \n", NO_JSON, "Sort it.", "", "Choose.", "Known."])

    found = desk.instructions(asks(6), known=["Known. "])

    assert [proposal.text for proposal in found] == ["Sort it.", "Choose."]
    assert [proposal.ask.place for proposal in found] == [
        "test/instruction=000",
        "test/instruction=004",
    ]
    assert desk.outcomes == ["used", "junk", "duplicate", "junk", "used", "duplicate"]


def test_every_question_is_written_down_with_its_path_and_its_text() -> None:
    desk = Desk(["Sort it.", NO_JSON])
    first, second = asks(2)
    asked = [Ask(first.meta, first.value, first.place, note="tip simple"), second]

    desk.instructions(asked)

    assert [record.to_json() for record in desk.search.log.proposals] == [
        {
            "path": "propose/test/instruction=000",
            "meta": "propose_instruction",
            "outcome": "used",
            "note": "tip simple",
            "text": "Sort it.",
        },
        {
            "path": "propose/test/instruction=001",
            "meta": "propose_instruction",
            "outcome": "junk",
        },
    ]
    assert [query.path for query in desk.runner.queries] == [
        "propose/test/instruction=000",
        "propose/test/instruction=001",
    ]


def test_the_candidate_made_of_a_proposal_is_written_into_its_record() -> None:
    desk = Desk(["Sort it.", "Choose."])
    found = desk.instructions(asks(2))
    candidate = Candidate.of(desk.search.base.patched({"instruction": {"text": "Choose."}}))

    desk.proposer.made(found[1], candidate)

    assert [record.candidate for record in desk.search.log.proposals] == [None, candidate.id]


def test_texts_keep_duplicates_and_say_none_for_junk() -> None:
    desk = Desk(["Many tickets.", NO_JSON, "Many tickets.", answered({"instruction": 3})])

    assert desk.texts(asks(4)) == ["Many tickets.", None, "Many tickets.", None]
    assert desk.outcomes == ["used", "junk", "used", "junk"]


def test_a_text_that_repeats_the_question_or_its_demos_is_junk() -> None:
    shown = {"id": "d", "input": {"basic_instruction": "x", "tip": ""},
             "output": {"instruction": "Sort all letters by hand."}}  # fmt: skip
    meta = PROPOSE.patched({"few_shot": {"examples": [shown]}})
    meta = meta.patched({"instruction": {"text": "Write it.\nSay it in\nquite other words."}})
    desk = Desk(["Sort all letters by hand.", "say it in quite other words.", "Say it."], meta=meta)

    # The last is too short to be no chance.
    assert [proposal.text for proposal in desk.instructions(asks(3))] == ["Say it."]
    assert desk.outcomes == ["junk", "junk", "used"]
    assert [record.text for record in desk.search.log.proposals] == [None, None, "Say it."]


def test_a_text_of_which_most_is_a_demo_of_another_task_is_junk() -> None:
    told = "Sort all letters by hand, and weigh each of them."
    shown = {"id": "d", "input": {"basic_instruction": "x", "tip": ""},
             "output": {"instruction": told}}  # fmt: skip
    meta = PROPOSE.patched({"few_shot": {"examples": [shown]}})
    mixed = "Route the ticket. Letters by hand, and weigh each of them."
    fitting = f"{mixed} Read the brackets first, and route by what they say about the sender."
    desk = Desk([mixed, fitting], meta=meta)

    assert [proposal.text for proposal in desk.instructions(asks(2))] == [fitting]
    assert desk.outcomes == ["junk", "used"]


@pytest.mark.parametrize("text", ["Sort \x00 it.", "\x1b[2J Sort it.", "...", "\u200b"])
def test_what_cannot_stand_in_a_prompt_is_junk(text: str) -> None:
    desk = Desk([text, "Sort it.\r\n\tBy hand."])

    assert [proposal.text for proposal in desk.instructions(asks(2))] == ["Sort it.\r\n\tBy hand."]
    assert desk.outcomes == ["junk", "used"]


def test_an_outage_within_the_limit_is_survived_and_not_called_junk() -> None:
    desk = Desk([DOWN, "Sort it."], max_error_rate=0.5)

    assert [proposal.text for proposal in desk.instructions(asks(2))] == ["Sort it."]
    assert desk.outcomes == ["outage", "used"]


def test_too_many_outages_end_the_run_resumably() -> None:
    desk = Desk([DOWN, "Sort it."])

    with pytest.raises(InfrastructureError):
        desk.instructions(asks(2))


def test_a_share_that_covers_some_questions_asks_the_first_ones() -> None:
    # A question may need 2 calls and uses 1: of 4 calls, two questions fit, then one, then none.
    desk = Desk([f"Text {i}." for i in range(5)], max_lm_calls=8, proposer_share=0.5)

    found = desk.instructions(asks(5))

    assert [proposal.text for proposal in found] == ["Text 0.", "Text 1.", "Text 2."]
    assert desk.outcomes == ["used", "used", "used", "no_budget", "no_budget"]
    assert len(desk.runner.queries) == 3


def test_a_share_of_nothing_asks_nothing_and_the_search_goes_on() -> None:
    desk = Desk(["Sort it."], max_lm_calls=8, proposer_share=0.0)

    assert desk.instructions(asks(1)) == []
    assert desk.texts(asks(1)) == [None]
    assert desk.outcomes == ["no_budget", "no_budget"]
    assert desk.runner.queries == []


def test_the_budget_of_the_run_ends_the_search_and_not_the_proposals_alone() -> None:
    desk = Desk(["Sort it."], max_lm_calls=1)

    with pytest.raises(BudgetStopError):
        desk.instructions(asks(1))


def test_fields_that_an_override_does_not_declare_are_left_out() -> None:
    narrow = make_policy(input={"basic_instruction": "string"}, output={"instruction": "string"})
    desk = Desk(["Sort it."], meta=narrow)

    desk.instructions(asks(1))

    assert desk.runner.queries[0].value == {"basic_instruction": "Do it."}


def test_every_question_is_another_sample_and_another_seed_asks_for_others() -> None:
    def rollouts(seed: int) -> list[int]:
        desk = Desk([f"Text {i}." for i in range(8)], seed=seed)
        desk.instructions(asks(8))
        return [query.rollout for query in desk.runner.queries]

    assert rollouts(0) == rollouts(0)
    assert len({*rollouts(0), *rollouts(1)}) == 16


def test_questions_are_asked_at_the_temperature_of_the_optimizer() -> None:
    pinned = PROPOSE.patched(
        {"model": {"temperature": 0.1}, "model_roles": {"main": {"temperature": 0.2}}}
    )
    desk = Desk(["Sort it."], meta=pinned)

    desk.instructions(asks(1))

    assert desk.runner.queries[0].policy.sampling().temperature == 1.0
    assert PROPOSE.at_temperature(0.5).sampling().temperature == 0.5


def test_no_questions_are_no_work() -> None:
    desk = Desk()

    assert desk.instructions([]) == []
    assert desk.outcomes == []
