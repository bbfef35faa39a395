from __future__ import annotations

from dse_cli.contracts.dataset import Row
from dse_cli.report.eval_text import eval_lines, row_lines
from tests.report.eval_reports import ROWS, answered, cell, compared, measured, regression, report

GOLDEN = """\
policy                         mean  95 % CI            n  outages    tokens      cost
active abc                     33.3  6.1 to 79.2        3        1       420   $0.0080
default                        50.0  15.0 to 85.0       4        0       420   $0.0080

-33.3 points (66.7 -> 33.3, n = 3, paired, p = 0.750, 95 % CI -100.0 to +0.0)
0 rows won, 1 lost; tokens -40, cost +$0.0015, on the same rows
  lost  r1                       100.0 ->   0.0

  tag even                     50.0                     2
  tag odd                       0.0                     1

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
policy                         mean  95 % CI            n  outages    tokens      cost  delta
a                              87.5  62.5 to 100.0      4        1       840   $0.0160  +0.0 \
(-37.5 to +37.5)
b                              75.0  30.1 to 95.4       4        0       420   $0.0080  -12.5 \
(-75.0 to +37.5)
default                        87.5  62.5 to 100.0      4        1       840   $0.0160

a against default: +0.0 points (87.5 -> 87.5, n = 4, paired, p = 0.750, 95 % CI -37.5 to +37.5)
1 row won, 1 lost; tokens -40, cost +$0.0015, on the same rows

b against default: -12.5 points (87.5 -> 75.0, n = 4, paired, p = 0.750, 95 % CI -75.0 to +37.5)
1 row won, 1 lost; tokens -40, cost +$0.0015, on the same rows

a:

  tag even                    100.0                     2
  tag odd                      75.0                     2

  pass@2 100.0   pass^2 66.7   same reward every time 66.7

  classification:queue: billing taken for other, 1 x

  7 answers: 6 perfect, 1 imperfect; 1 without an answer (provider 1)

b:

  tag even                    100.0                     2
  tag odd                      50.0                     2

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
    assert text(report(line)).splitlines()[1:] == [
        "default                       100.0  51.0 to 100.0      4        0       420   $0.0080",
        "",
        "  tag even                    100.0                     2",
        "  tag odd                     100.0                     2",
    ]


def test_rows_in_groups_are_said_to_be() -> None:
    rows = tuple(
        Row(row.id, row.input, row.expected, row.split, row.tags, group="c" * (1 + index // 2))
        for index, row in enumerate(ROWS)
    )
    line = measured("default", [cell(row, "billing") for row in rows], rows=rows)
    assert "4 rows in 2 groups: intervals and tests are over groups" in text(
        report(line, rows=rows)
    )


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
