"""The metric that compares dates, whatever form they are written in."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dse_cli.contracts.metrics.date_format import read_date, shown_date
from dse_cli.contracts.metrics.values import Date
from dse_cli.evaluation.json_values import kind_of, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, expected_at, listed, wrong


def date(config: Date, sample: Sample) -> MetricResult:
    """Return 1 when a text means the expected date."""
    wanted = expected_at(sample.expected, config.field)
    if not isinstance(wanted, str):
        raise MetricError(f"expected.{config.field} is {kind_of(wanted)}, not a date in a text")
    target = _read(wanted, config.formats)
    if target is None:
        forms = listed(config.formats, " or ")
        raise MetricError(
            f"expected.{config.field} is {shown(wanted)}, no date of the form {forms}"
        )
    got = value_at(sample.output, config.field)
    found = _read(got, config.formats) if isinstance(got, str) else None
    if found == target:
        return RIGHT
    result = wrong(config.field, got, f"the date {shown_date(target)}")
    if found is not None:
        return result._replace(feedback=f"{result.feedback}; it reads as {shown_date(found)}")
    forms = listed(config.formats, " or ")
    return result._replace(feedback=f"{result.feedback}, written as {forms}")


def _read(text: str, formats: Sequence[str]) -> datetime | None:
    found = (read_date(text, form) for form in formats)
    return next((moment for moment in found if moment is not None), None)
