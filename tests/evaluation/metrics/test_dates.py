from __future__ import annotations

import locale
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dse_cli.contracts.metrics.date_format import read_date
from dse_cli.contracts.metrics.values import Date
from dse_cli.evaluation.metric_result import MetricError
from tests.evaluation.metrics.scoring import NO_DEADLINE, feedback, score

FORMS = ["%Y-%m-%d", "%d %B %Y", "%d.%m.%y", "%b %d, %Y", "%A, %d %b %Y", "%Y-%m-%dT%H:%M:%S"]


@pytest.mark.parametrize(
    "text",
    ["2024-03-05", "5 March 2024", "05  MARCH 2024", "5.3.24", "Mar 5, 2024",
     "Tuesday, 5 Mar 2024", "2024-03-05T00:00:00"],
)  # fmt: skip
def test_dates_compare_whatever_form_they_are_written_in(text):
    assert score("date", text, "2024-03-05", formats=FORMS) == 1
    assert score("date", text, "2024-03-06", formats=FORMS) == 0


@pytest.mark.parametrize(
    "text", ["2024-02-30", "soon", "", "2024-3", "Monday, 5 Mar 2024", "2024-03-05 or so", 20240305]
)
def test_what_is_no_date_is_wrong(text):
    assert score("date", text, "2024-03-05", formats=FORMS) == 0


def test_feedback_says_how_the_text_reads_or_how_to_write_it():
    forms = ["%Y-%m-%d", "%d/%m/%Y"]
    assert feedback("date", "3/4/2024", "2024-03-04", formats=forms) == (
        'x: got "3/4/2024", expected the date 2024-03-04; it reads as 2024-04-03'
    )
    assert feedback("date", "soon", "2024-03-04", formats=forms) == (
        'x: got "soon", expected the date 2024-03-04, written as %Y-%m-%d or %d/%m/%Y'
    )


@pytest.mark.parametrize("expected", ["soon", 3, None, "2024-13-01"])
def test_an_expected_value_that_is_no_date_is_an_error(expected):
    with pytest.raises(MetricError, match="date"):
        score("date", "2024-01-01", expected)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("%c", "%c, which is not one of"),
        ("%d %B", "no year"),
        ("%Y", "no month"),
        ("%Y-%m", "no day"),
        ("%Y %y %m %d", "more than one year"),
        ("%Y-%m-%d %d", "%d twice"),
        ("%Y-%m-%d %", "uses %"),
    ],
)
def test_a_form_that_does_not_say_one_date_is_refused(form, why):
    with pytest.raises(ValidationError, match=why):
        Date.model_validate({"weight": 1, "field": "x", "formats": [form]})


@NO_DEADLINE
@given(st.dates(date(1000, 1, 1)))
def test_what_strftime_writes_is_read_back(day):
    names = locale.setlocale(locale.LC_TIME)
    assert names == "C", "strftime is the reference here only with English names"
    for form in ("%Y-%m-%d", "%d %B %Y", "%a %d %b %Y", "%m/%d/%Y", "%A, %B %d, %Y", "%d%%%m%Y"):
        found = read_date(day.strftime(form), form)
        assert found is not None
        assert found.date() == day


def test_two_digit_years_follow_posix():
    read = [read_date(f"{year:02d}-01-01", "%y-%m-%d") for year in (68, 69)]
    assert [moment.year for moment in read if moment] == [2068, 1969]
