from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.job import SearchSpace
from dse_cli.contracts.meta import MetaName
from dse_cli.contracts.prompt_ir import Demo
from dse_cli.evaluation.query import Query
from dse_cli.optimizers.proposals.failure_text import failure_text
from dse_cli.optimizers.proposals.grounding import (
    MOST_PROGRAM,
    MOST_ROW,
    dataset_summary,
    demo_text,
    describe,
    module_text,
    program_text,
    row_text,
)
from dse_cli.optimizers.proposals.meta_signatures import META_NAMES, shipped_signature
from dse_cli.optimizers.proposals.proposer import Proposer
from dse_cli.optimizers.search import Search
from dse_cli.runtime.policy import authored_policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import FakeRunner, answered, make_cell, make_engine, make_rows
from tests.runtime.policies import MODEL, make_policy

JUNK = answered(None, CellError("decode", "not one JSON value"))


class Desk:
    """A proposer on the shipped meta-signatures, answered by a function."""

    def __init__(self, reply: Callable[[Query], Prediction], **limits: Any) -> None:
        meta: dict[MetaName, Any] = {
            name: authored_policy(shipped_signature(name), model=MODEL) for name in META_NAMES
        }
        self.runner = FakeRunner(reply=reply)
        self.search = Search.start(
            make_engine(self.runner, **limits),
            make_policy(),
            train=[],
            val=[],
            space=SearchSpace(),
            seed=7,
            meta=meta,
        )
        self.proposer = Proposer(self.search, temperature=1.0, stream="test")

    def summary(self, rows: list[Row], batch: int = 10) -> str:
        return asyncio.run(dataset_summary(self.proposer, rows, place="test", batch=batch))

    @property
    def paths(self) -> list[str]:
        return [query.path.removeprefix("propose/test/") for query in self.runner.queries]


def seen(query: Query) -> Prediction:
    if query.path.endswith("summary"):
        return answered({"summary": f"Summed up: {query.value['observations']}"})
    rows = len(query.value["examples"])
    return answered({"observations": f"{rows} rows.", "complete": False})


# --- a task as text -----------------------------------------------------------------------------


def test_a_program_is_its_description_its_fields_and_its_prompt() -> None:
    policy = make_policy(
        input={"ticket": {"type": "string", "description": "The message"}, "lang": "string"},
        prompt=[
            {"system": "You route tickets."},
            {"instruction": "Choose the queue."},
            {"context": [{"key": "handbook", "value": "long"}]},
            {"output_format": "json_schema"},
        ],
    )

    assert program_text(policy.patched({"instruction": {"text": "Sort it."}})).splitlines() == [
        "Choose the queue.",
        "Input:",
        "- ticket (string): The message",
        "- lang (string)",
        "Output:",
        '- queue ({"enum":["billing","other"]})',
        "Prompt:",
        "You route tickets.",
        "Sort it.",
        "(Here stand texts by the names: handbook.)",
    ]


def test_a_module_is_its_name_and_its_fields() -> None:
    assert module_text(make_policy()) == "main: ticket -> queue"


def test_what_is_long_is_cut_visibly() -> None:
    row = Row("r", {"ticket": "x" * 5000}, {"queue": "other"}, "train")
    long = make_policy({"instruction": {"text": "y" * 9000}})

    assert len(row_text(row)) == MOST_ROW
    assert row_text(row).endswith(" characters)")
    assert len(program_text(long)) == MOST_PROGRAM
    assert program_text(long).endswith(" characters)")


def test_rows_and_demos_are_spelled_alike() -> None:
    row = make_rows(1, "train")[0]
    demo = Demo(id=row.id, input=row.input, output=row.expected, source="labelled")

    assert (
        row_text(row) == demo_text(demo) == '{"input":{"ticket":"t0"},"output":{"queue":"other"}}'
    )


def test_a_failure_says_input_answer_and_right_answer() -> None:
    row = make_rows(1, "train")[0]
    task: Any = type("Task", (), {"row": row, "rollout": 0})
    task.candidate = type("C", (), {"id": "sha256:" + "0" * 64})
    wrong = make_cell(task, reward=0.0, output={"queue": "billing"})
    broken = make_cell(task, reward=0.0, error=CellError("decode", "no JSON"))

    assert failure_text(row, wrong).splitlines() == [
        'input: {"ticket": "t0"}',
        'answer: {"queue": "billing"}',
        'right answer: {"queue": "other"}',
    ]
    assert "answer: none: no JSON" in failure_text(row, broken)


# --- the dataset --------------------------------------------------------------------------------


def test_rows_are_looked_at_batch_by_batch_with_what_was_seen_before() -> None:
    desk = Desk(seen)

    assert desk.summary(make_rows(25, "train")) == "Summed up: 10 rows.\n10 rows.\n5 rows."
    assert desk.paths == ["observations=00", "observations=01", "observations=02", "summary"]
    assert desk.runner.queries[1].value["observations"] == "10 rows."


def test_at_most_ten_batches_are_looked_at() -> None:
    desk = Desk(seen)

    desk.summary(make_rows(120, "train"))

    assert len(desk.paths) == 11


def test_five_answers_with_nothing_to_add_end_the_looking() -> None:
    def reply(query: Query) -> Prediction:
        if query.path.endswith(("=00", "summary")):
            return seen(query)
        return answered({"observations": "", "complete": True})

    desk = Desk(reply)

    assert desk.summary(make_rows(100, "train")) == "Summed up: 10 rows."
    assert desk.paths[-2:] == ["observations=05", "summary"]
    assert {record.outcome for record in desk.search.log.proposals} == {"used"}


def test_a_first_answer_that_claims_to_be_complete_is_taken_for_its_text() -> None:
    def reply(query: Query) -> Prediction:
        if query.path.endswith("summary"):
            return seen(query)
        first = "Short." if query.path.endswith("=01") else ""
        return answered({"observations": first, "complete": True})

    desk = Desk(reply)

    assert desk.summary(make_rows(30, "train")) == "Summed up: Short."
    assert [record.outcome for record in desk.search.log.proposals] == [
        "junk",
        "used",
        "used",
        "used",
    ]


def test_a_batch_that_was_answered_with_junk_is_left_out() -> None:
    desk = Desk(lambda query: JUNK if query.path.endswith("=00") else seen(query))

    assert desk.summary(make_rows(12, "train")) == "Summed up: 2 rows."


def test_without_a_summary_the_observations_stand_for_it() -> None:
    desk = Desk(lambda query: JUNK if query.path.endswith("summary") else seen(query))

    assert desk.summary(make_rows(12, "train")) == "10 rows.\n2 rows."


@pytest.mark.parametrize("rows", [0, 20])
def test_without_observations_there_is_no_summary_and_no_question_for_one(rows: int) -> None:
    desk = Desk(lambda query: JUNK)

    assert desk.summary(make_rows(rows, "train")) == ""
    assert len(desk.paths) == rows // 10


def test_the_end_of_the_share_ends_the_looking() -> None:
    desk = Desk(seen, max_lm_calls=3, proposer_share=1.0)

    assert desk.summary(make_rows(50, "train")) == "10 rows.\n10 rows."
    assert [record.outcome for record in desk.search.log.proposals] == [
        "used",
        "used",
        "no_budget",
        "no_budget",
    ]


# --- descriptions -------------------------------------------------------------------------------


def test_a_step_is_described_with_what_was_said_of_the_task() -> None:
    def reply(query: Query) -> Prediction:
        number = query.path[-1]
        if "/program=" in query.path:
            return answered({"description": f"task {number}"}) if number == "0" else JUNK
        return answered({"description": f"step of {query.value['program_description'] or 'it'}"})

    desk = Desk(reply)
    found = asyncio.run(describe(desk.proposer, make_policy(), [["a"], []], place="test"))

    assert [(one.program, one.module) for one in found] == [
        ("task 0", "step of task 0"),
        ("", "step of it"),
    ]
    assert desk.paths == ["program=000", "program=001", "module=000", "module=001"]
    assert desk.runner.queries[0].value["examples"] == ["a"]
