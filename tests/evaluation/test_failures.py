from __future__ import annotations

from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import CellError, Failure, SignalScore
from dse_cli.evaluation.failures import (
    MAX_FAILURES,
    MAX_MESSAGE,
    MAX_VALUE,
    failures_of,
    field_of,
)
from dse_cli.evaluation.rewards.reward import ScoredOutput

ROW = Row("r1", {"ticket": "t"}, {"queue": "billing", "tags": ["a"]}, "val")


def failures(*, output: Any = {"queue": "other"}, **changes: Any) -> tuple[Failure, ...]:  # noqa: B006
    values: dict[str, Any] = {"reward": 0.0, "signals": (), "error": None, **changes}
    return failures_of(ScoredOutput(**values), output, ROW)


def test_a_perfect_cell_has_no_failure() -> None:
    assert failures(reward=1.0, signals=(SignalScore("exact_match:queue", 1.0),)) == ()


def test_a_mismatch_names_the_field_and_what_stands_there_and_what_should() -> None:
    wrong = SignalScore("exact_match:queue", 0.0, "queue is other, not billing")
    (failure,) = failures(signals=(wrong,))
    assert failure.to_json() == {
        "kind": "mismatch",
        "source": "exact_match:queue",
        "message": "queue is other, not billing",
        "field": "queue",
        "got": '"other"',
        "expected": '"billing"',
    }


def test_a_signal_of_the_whole_output_shows_the_whole_output() -> None:
    (failure,) = failures(signals=(SignalScore("exact_match", 0.5, "no"),))
    assert failure.field is None
    assert failure.got == '{"queue": "other"}'
    assert failure.expected == '{"queue": "billing", "tags": ["a"]}'


def test_what_does_not_stand_there_is_none_and_null_is_null() -> None:
    signals = (SignalScore("one_of:missing", 0.0, "x"), SignalScore("exact_match:queue", 0.0, "y"))
    absent, null = failures(output={"queue": None}, signals=signals)
    assert (absent.got, absent.expected) == (None, None)
    assert null.got == "null"


def test_a_falsy_output_is_an_output() -> None:
    (failure,) = failures(output=0, signals=(SignalScore("numeric", 0.0, "x"),))
    assert failure.got == "0"


def test_a_decode_error_is_said_once_with_its_field() -> None:
    error = CellError("decode", "not one of the queues", "queue")
    zeros = tuple(SignalScore(name, 0.0, "could not be read") for name in ("a:queue", "b"))
    (failure,) = failures(output=None, error=error, signals=zeros)
    assert (failure.kind, failure.source, failure.field) == ("decode", "answer", "queue")


@pytest.mark.parametrize("kind", ["provider", "timeout", "budget", "tool", "metric"])
def test_an_outage_has_its_kind_and_is_no_mismatch(kind: Any) -> None:
    error = CellError(kind, "on fire")
    (failure,) = failures(reward=None, output=None, error=error)
    assert (failure.kind, failure.source, failure.message) == (kind, "answer", "on fire")


@pytest.mark.parametrize("signal", ["judge", "judge:queue", "judge#2", "pairwise_judge"])
def test_a_judge_s_note_is_told_from_what_other_metrics_found(signal: str) -> None:
    (failure,) = failures(signals=(SignalScore(signal, 0.3, "too vague"),))
    assert (failure.kind, failure.message) == ("judge", "too vague")


def test_a_signal_without_feedback_still_says_its_score() -> None:
    (failure,) = failures(signals=(SignalScore("f1", 0.25),))
    assert failure.message == "scored 0.25 of 1"


def test_a_penalty_on_a_right_answer_is_a_reason() -> None:
    signals = (SignalScore("f1", 1.0),)
    dear = "900 tokens, 600 over the target"
    (failure,) = failures(reward=0.75, signals=signals, penalty_feedback=dear)
    assert failure.source == "reward"
    assert failure.message == "900 tokens, 600 over the target; this makes the reward 0.75"


def test_records_are_bounded_and_say_what_they_leave_out() -> None:
    signals = tuple(SignalScore(f"regex:f{number}", 0.0, "x" * 900) for number in range(12))
    long = {"f0": "y" * 900}
    found = failures(output=long, signals=signals)
    assert len(found) == MAX_FAILURES
    assert [failure.source for failure in found[:2]] == ["regex:f0", "regex:f1"]
    assert found[-1].source == "more"
    assert found[-1].message.startswith("5 more signals are below 1: regex:f7, ")
    assert len(found[0].message) == MAX_MESSAGE
    assert found[0].message.endswith("... (900 characters)")
    assert found[0].got is not None
    assert len(found[0].got) == MAX_VALUE
    assert found[0].got.endswith("... (902 characters)")


def test_exactly_as_many_as_fit_are_all_there() -> None:
    signals = tuple(SignalScore(f"regex:f{n}", 0.0, "x") for n in range(MAX_FAILURES))
    assert [f.source for f in failures(signals=signals)] == [s.id for s in signals]


@pytest.mark.parametrize(
    ("signal", "field"),
    [
        ("exact_match", None),
        ("exact_match#2", None),
        ("regex:a.b", "a.b"),
        ("regex:a#2", "a"),
        ("regex:#x", "#x"),
        ("python:check", None),
        ("judge:queue", None),
        ("pairwise_judge:@acme/desk/Pair.v1", None),
    ],
)
def test_the_field_is_read_from_the_id_of_a_signal(signal: str, field: str | None) -> None:
    assert field_of(signal) == field
