from __future__ import annotations

import json

from dse_cli.report.eval_json import cell_json, eval_document
from dse_cli.report.eval_report import EvalVerdict
from tests.report.eval_reports import FAILED, ROWS, answered, cell, measured, regression, report


def test_a_document_holds_everything_that_was_measured() -> None:
    document = json.loads(json.dumps(eval_document(regression(), FAILED)))
    assert document["policy"]["label"] == "active abc"
    assert document["rows_won"] == []
    assert document["rows_lost"] == [{"id": "r1", "reward": 0.0, "other": 1.0}]
    assert document["usage_difference"] == {"tokens": -40, "cost_nano_usd": 1_500_000}
    assert document["messages"] == ["regression: -25.0 points is worse than the allowed 2.0"]
    assert document["outcomes"]["outages"] == {"provider": 1}
    assert document["confusion"] == [
        {"signal": "classification:queue", "expected": "billing", "got": "other", "cells": 2}
    ]
    assert document["baseline"]["policy"]["label"] == "default"
    assert document["against"] == document["baseline"]["policy"]["compiled_id"]
    assert (document["rows"], document["paid_calls"]) == (4, 3)
    assert len(document["cells"]) == 4


def test_each_model_has_the_form_of_the_whole_document() -> None:
    first = measured("a", answered("billing", "billing", "billing", None), alias="a")
    second = measured("b", answered("other", "billing", "billing", "billing"), alias="b")
    several = eval_document(report(first, second), EvalVerdict())
    single = eval_document(report(measured("a", list(first.cells))), EvalVerdict())
    assert [line["policy"]["alias"] for line in several["models"]] == ["a", "b"]
    assert all(name in single for name in several["models"][0])
    assert several["models"][0]["comparison"] is None
    assert several["baseline"] is None


def test_a_cell_says_why_it_is_not_perfect() -> None:
    document = cell_json(cell(ROWS[0], "other"))
    assert document["failures"] == [
        {
            "kind": "mismatch",
            "source": "classification:queue",
            "message": "other | not billing",
            "field": "queue",
            "got": '"other"',
            "expected": '"billing"',
        }
    ]
    assert document["signals"][0]["metadata"] == {"expected": "billing", "got": "other"}
    assert cell_json(cell(ROWS[0], "billing"))["failures"] == []
