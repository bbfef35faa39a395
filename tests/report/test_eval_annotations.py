from __future__ import annotations

from dse_cli.contracts.dataset import Row
from dse_cli.report.eval_annotations import MOST_ROWS, eval_annotations
from dse_cli.report.eval_report import EvalVerdict
from dse_cli.report.terminal_diagnostics import github_annotations
from tests.report.eval_reports import FAILED, answered, cell, measured, regression, report

GOLDEN = """\
::error file=signatures/route/compile.yaml,line=3,title=regression::-25.0 points is worse than \
the allowed 2.0
::warning file=datasets/tickets/rows.jsonl,line=2,title=row-not-perfect::r1: 0.0, \
classification:queue: other | not billing
::warning file=datasets/tickets/rows.jsonl,line=3,title=row-not-perfect::r2: 0.0, \
classification:queue: other | not billing
::warning file=datasets/tickets/rows.jsonl,line=4,title=row-not-perfect::r3: outage, \
answer: 503: on fire
"""


def test_annotations_point_at_the_lines_of_rows_and_at_the_job() -> None:
    found = eval_annotations(
        regression(), FAILED, job_file="signatures/route/compile.yaml", job_line=3
    )
    assert github_annotations(found) == GOLDEN


def test_no_more_than_ten_rows_are_annotated_and_the_rest_is_counted() -> None:
    rows = tuple(
        Row(f"r{n:02d}", {"t": n}, {"queue": "billing"}, "val", file="rows.jsonl", line=n + 1)
        for n in range(14)
    )
    made = report(measured("a", [cell(row, "other") for row in rows], rows=rows), rows=rows)
    found = eval_annotations(made, EvalVerdict(), job_file="c.yaml", job_line=1)
    assert len(found) == MOST_ROWS + 1
    assert (found[-1].file, found[-1].line) == ("rows.jsonl", 0)
    assert found[-1].message == "4 more rows of dse eval route are not perfect"


def test_a_row_is_named_with_its_model_when_there_are_several() -> None:
    made = report(measured("a", answered("other", "billing", "billing", "billing"), alias="a"))
    (found,) = eval_annotations(made, EvalVerdict(), job_file="c.yaml", job_line=1)
    assert found.message.startswith("r0 on a: 0.0, ")
