from __future__ import annotations

from dse_cli.contracts.dataset import Row
from dse_cli.report.eval_markdown import MOST_ROWS, eval_markdown
from dse_cli.report.eval_report import EvalVerdict
from tests.report.eval_reports import FAILED, ROWS, cell, compared, measured, regression, report

GOLDEN = """\
## dse eval route: regression

- **regression: -25.0 points is worse than the allowed 2.0**

| policy | mean | 95 % CI | n | outages | tokens | cost | delta (95 % CI) | won | lost |
|---|--:|---|--:|--:|--:|--:|--:|--:|--:|
| active abc (`abc123abc123`) | 33.3 | 6.1 to 79.2 | 3 | 1 | 420 | \\$0.0080 | \
-33.3 (-100.0 to +0.0) | 0 | 1 |
| default (`abc123abc123`) | 50.0 | 15.0 to 85.0 | 4 | 0 | 420 | \\$0.0080 |  |  |  |

4 rows of val, seed 7; 8 model calls (\\$0.0160) charged, 3 (\\$0.0060) paid.

Against default: -33.3 points (66.7 -> 33.3, n = 3, paired, p = 0.750, 95 % CI -100.0 to +0.0);
0 rows won, 1 lost; tokens -40, cost +\\$0.0015, on the same rows.

#### Rows lost

| row | before | now |
|---|--:|--:|
| r1 | 100.0 | 0.0 |

3 answers: 1 perfect, 2 imperfect; 1 without an answer (provider 1).

| part | mean | baseline | delta | n |
|---|--:|--:|--:|--:|
| tag even | 50.0 | 50.0 | +0.0 | 2 |
| tag odd | 0.0 | 100.0 | -100.0 | 1 |

| signal | expected | got | cells |
|---|---|---|--:|
| classification:queue | billing | other | 2 |

<details><summary>Not perfect</summary>

| row | reward | why |
|---|--:|---|
| r1 | 0.0 | classification:queue: other \\| not billing |
| r2 | 0.0 | classification:queue: other \\| not billing |
| r3 | outage | answer: 503: on fire |

</details>
"""


def test_an_evaluation_reads_like_this() -> None:
    assert eval_markdown(regression(), FAILED) == GOLDEN


def test_an_evaluation_that_passed_says_so_and_lists_nothing_more_than_it_has() -> None:
    perfect = report(measured("default", [cell(row, "billing") for row in ROWS]))
    text = eval_markdown(perfect, EvalVerdict())
    assert text.startswith("## dse eval route: passed\n\n| policy |")
    assert "Not perfect" not in text
    assert "delta" not in text


def test_its_length_is_bounded_and_what_is_left_out_is_counted() -> None:
    rows = tuple(Row(f"r{n:04d}", {"t": n}, {"queue": "billing"}, "val") for n in range(500))
    ours = measured("a", [cell(row, "other") for row in rows], rows=rows)
    theirs = measured("b", [cell(row, "billing") for row in rows], rows=rows)
    text = eval_markdown(report(compared(ours, theirs), baseline=theirs, rows=rows), FAILED)
    assert f"and {500 - MOST_ROWS} rows more." in text
    assert len(text) < 10_000


def test_what_a_model_wrote_is_shown_and_not_rendered() -> None:
    wrote = "</details> | **bold** `x` @someone [a](javascript:b)"
    text = eval_markdown(report(measured("a", [cell(ROWS[0], wrote)])), FAILED)
    assert text.count("</details>") == 1  # ours
    assert "**bold**" not in text
    assert "\\@someone" in text


def test_a_tag_of_two_lines_does_not_break_the_table() -> None:
    odd = Row("r1", {}, {}, "val", tags=("a\nb|c",))
    text = eval_markdown(
        report(measured("default", [cell(odd, "billing")], rows=(odd,)), rows=(odd,)), EvalVerdict()
    )
    assert "| tag a b\\|c | " in text


def test_it_says_which_rows_of_which_split_were_measured() -> None:
    line = measured("default", [cell(row, "billing") for row in ROWS])
    text = eval_markdown(report(line, split_rows=75, filters="--limit 4"), EvalVerdict())
    assert "4 of 75 rows of val (--limit 4), seed 7; 8 model calls" in text
