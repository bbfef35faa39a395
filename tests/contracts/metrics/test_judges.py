from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.metrics.judges import Judge, PairwiseJudge
from tests.evaluation.judges.judged import GRADE, PAIR


def test_a_judge_reads_as_it_is_written_and_defaults_are_left_out() -> None:
    judge = Judge.model_validate({**GRADE, "artifact": "4fd0c2a1b3e5"})
    assert judge.about == "grader"
    assert judge.scale == (1.0, 5.0)
    written = {key: value for key, value in GRADE.items() if key not in {"scale", "feedback"}}
    assert set(Judge.model_validate(written).to_json()) == set(written)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": [5, 1]}, "lowest score to a higher"),
        ({"scale": [1, 1]}, "lowest score to a higher"),
        ({"inputs": {}}, "must be shown"),
        ({"inputs": {"task": "input.ticket"}}, "nothing of the output"),
        ({"inputs": {"task": "answer.reply"}}, "pattern"),
        ({"inputs": {"task": "output."}}, "pattern"),
        ({"weight": 0}, "greater than 0"),
        ({"temperature": 0}, "Extra inputs"),
    ],
)
def test_a_judge_that_means_nothing_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Judge.model_validate({**GRADE, **change})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"second": "one"}, "same field"),
        ({"theirs": "output.reply"}, "same path"),
        ({"ours": "expected.note"}, "not of the output"),
        ({"inputs": {"one": "input.ticket"}}, "one of the two answers"),
        ({"scale": [0, 1]}, "Extra inputs"),
    ],
)
def test_a_pair_that_means_nothing_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        PairwiseJudge.model_validate({**PAIR, **change})
