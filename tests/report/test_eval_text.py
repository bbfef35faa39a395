from __future__ import annotations

from dse_cli.contracts.dataset import Row
from dse_cli.report.columns import columns
from dse_cli.report.eval_text import eval_lines, row_lines
from dse_cli.report.eval_words import answer_text
from tests.report.eval_reports import ROWS, answered, cell, compared, measured, regression, report

GOLDEN = """\
4 rows of val, seed 7

policy      mean  95 % CI       n  outages  tokens     cost
active abc  33.3  6.1 to 79.2   3        1     420  $0.0080
default     50.0  15.0 to 85.0  4        0     420  $0.0080

-33.3 points (66.7 -> 33.3, n = 3, paired, p = 0.750, 95 % CI -100.0 to +0.0)
0 rows won, 1 lost; tokens -40, cost +$0.0015, on the same rows
  lost  r1                       100.0 ->   0.0

  slice     mean  baseline   delta  n
  tag even  50.0      50.0    +0.0  2
  tag odd    0.0     100.0  -100.0  1

  classification:queue: billing taken for other, 2 x

  3 answers: 1 perfect, 2 imperfect; 1 without an answer (provider 1)
"""
EVERY_ROW = """
r1  0.0
  mismatch classification:queue: other | not billing
  answered {"queue": "other"}

r2  0.0
  mismatch classification:queue: other | not billing
  answered {"queue": "other"}

r3  outage
  provider answer: 503: on fire
"""
MODELS = """\
4 rows of val, 2 rollouts a row, seed 7

policy   mean  95 % CI        n  outages  tokens     cost  delta
a        87.5  62.5 to 100.0  4        1     840  $0.0160   +0.0
b        75.0  30.1 to 95.4   4        0     420  $0.0080  -12.5
default  87.5  62.5 to 100.0  4        1     840  $0.0160

a against default: +0.0 points (87.5 -> 87.5, n = 4, paired, p = 0.750, 95 % CI -37.5 to +37.5)
1 row won, 1 lost; tokens -40, cost +$0.0015, on the same rows

b against default: -12.5 points (87.5 -> 75.0, n = 4, paired, p = 0.750, 95 % CI -75.0 to +37.5)
1 row won, 1 lost; tokens -40, cost +$0.0015, on the same rows

a:

  slice      mean  baseline  delta  n
  tag even  100.0      75.0  +25.0  2
  tag odd    75.0     100.0  -25.0  2

  pass@2 100.0   pass^2 66.7   same reward every time 66.7

  classification:queue: billing taken for other, 1 x

  7 answers: 6 perfect, 1 imperfect; 1 without an answer (provider 1)

b:

  slice      mean  baseline  delta  n
  tag even  100.0      75.0  +25.0  2
  tag odd    50.0     100.0  -50.0  2

  classification:queue: billing taken for other, 1 x

  4 answers: 3 perfect, 1 imperfect
"""


def text(*args: object, **options: bool) -> str:
    return "".join(f"{line}\n" for line in eval_lines(*args, **options))  # type: ignore[arg-type]


def test_an_evaluation_reads_like_this() -> None:
    assert text(regression()) == GOLDEN


def test_every_row_says_why_it_is_not_perfect() -> None:
    assert text(regression(), every_row=True) == GOLDEN + EVERY_ROW


def test_several_models_are_one_table_with_a_line_each() -> None:
    again = answered("billing", "billing", "billing", None, rollout=1)
    base = measured("default", answered("other", "billing", "billing", "billing") + again)
    first = measured("a", answered("billing", "other", "billing", "billing") + again, alias="a")
    second = measured("b", answered("billing", "billing", "billing", "other"), alias="b")
    assert text(report(compared(first, base), compared(second, base), baseline=base)) == MODELS


def test_a_perfect_evaluation_is_a_table_and_its_slices() -> None:
    line = measured("default", answered("billing", "billing", "billing", "billing"))
    assert text(report(line)).splitlines() == [
        "4 rows of val, seed 7",
        "",
        "policy    mean  95 % CI        n  outages  tokens     cost",
        "default  100.0  51.0 to 100.0  4        0     420  $0.0080",
        "",
        "  slice      mean  n",
        "  tag even  100.0  2",
        "  tag odd   100.0  2",
    ]


def test_rows_in_groups_are_said_to_be() -> None:
    rows = tuple(
        Row(row.id, row.input, row.expected, row.split, row.tags, group="c" * (1 + index // 2))
        for index, row in enumerate(ROWS)
    )
    line = measured("default", [cell(row, "billing") for row in rows], rows=rows)
    shown = text(report(line, rows=rows))
    assert shown.startswith("4 rows of val in 2 groups, seed 7\n")
    assert "rows of a group are not independent: intervals and tests are over groups" in shown


def test_only_so_many_rows_are_listed_and_the_rest_is_counted() -> None:
    rows = tuple(Row(f"r{n:02d}", {"t": n}, {"queue": "billing"}, "val") for n in range(8))
    ours = measured("a", [cell(row, "other") for row in rows], rows=rows)
    theirs = measured("b", [cell(row, "billing") for row in rows], rows=rows)
    shown = report(compared(ours, theirs), baseline=theirs, rows=rows)
    assert "  lost  and 3 more; --rows lists them" in text(shown)
    assert "r07" not in text(shown)
    assert "  lost  r07 " in text(shown, every_row=True)


def test_what_a_model_wrote_cannot_command_the_terminal() -> None:
    shown = "\n".join(row_lines([cell(ROWS[0], "\x1b[2J\u202eevil\nline")]))
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "<U+001B>[2J<U+202E>evil line" in shown


def test_a_command_of_github_actions_in_an_answer_is_text() -> None:
    lines = [*row_lines([cell(ROWS[0], "x ##[add-mask]x")])]
    assert any("## [add-mask]x" in line for line in lines)
    assert not any("##[" in line for line in lines)


def test_the_first_line_says_which_rows_of_which_split_were_measured() -> None:
    line = measured("default", answered("billing", "billing", "billing", "billing"))
    shown = text(report(line, split_rows=75, filters="--failed --tag even --limit 4"))
    assert shown.startswith("4 of 75 rows of val (--failed --tag even --limit 4), seed 7\n")


def test_a_table_with_a_difference_fits_80_columns() -> None:
    base = measured("active abc123abc123", answered("other", "billing", "billing", "billing"))
    ours = measured("small", answered("billing", "other", "other", "other"), alias="small")
    shown = text(report(compared(ours, base), baseline=base))
    assert max(map(len, shown.splitlines()[2:5])) <= 80


def test_a_long_name_shifts_no_column() -> None:
    rows = [["signal", "mean"], ["classification:" + "x" * 60, "1.0"], ["a", "100.0"]]
    lines = list(columns(rows, "<>"))
    assert len({len(line) for line in lines}) == 1
    assert "…" in lines[1]


def test_row_by_row_is_a_heading_only_where_something_follows() -> None:
    perfect = measured("a", answered("billing", "billing", "billing", "billing"), alias="a")
    wrong = measured("b", answered("billing", "billing", "billing", "other"), alias="b")
    shown = text(report(perfect, wrong), every_row=True)
    assert "a, row by row:" not in shown
    assert "b, row by row:" in shown


def test_a_late_field_of_a_long_answer_stays_visible() -> None:
    answer = {"score": 4, "why": "because " * 100, "quotes": ["x" * 90] * 9}
    shown = answer_text(answer, ("why", "quotes", "score"))
    assert shown.startswith('{"why": "because bec…", "quotes": [')
    assert shown.endswith('"score": 4}')
    assert len(shown) <= 200
