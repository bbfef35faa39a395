"""Metrics that ask whether a value is the right one."""

from __future__ import annotations

from typing import Any

from dse_cli.contracts.metrics.match import Classification, ExactMatch, FormatValidity, OneOf
from dse_cli.evaluation.json_values import MISSING, equal, normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, expected_at, listed, mismatch, or_list, wrong


def format_validity(
    config: FormatValidity,  # noqa: ARG001 - all metrics are called alike
    sample: Sample,  # noqa: ARG001
) -> MetricResult:
    """Return 1: an output that is here did decode and fit its schema."""
    return RIGHT


def exact_match(config: ExactMatch, sample: Sample) -> MetricResult:
    """Return 1 when the output, or one field of it, equals what was expected, as JSON values."""
    if config.field is None:
        got = normalized(sample.output, config.normalize)
        wanted = normalized(sample.expected, config.normalize)
        return RIGHT if equal(got, wanted) else MetricResult(0.0, _differences(got, wanted))
    wanted = expected_at(sample.expected, config.field)
    got = value_at(sample.output, config.field)
    if equal(normalized(got, config.normalize), normalized(wanted, config.normalize)):
        return RIGHT
    return wrong(config.field, got, shown(wanted))


def one_of(config: OneOf, sample: Sample) -> MetricResult:
    """Return 1 when a field equals one of the values that ``expected`` lists under its name."""
    wanted = expected_at(sample.expected, config.field)
    choices = wanted if isinstance(wanted, list) else [wanted]
    if not choices:
        raise MetricError(f"expected.{config.field} lists no value")
    got = value_at(sample.output, config.field)
    seen = normalized(got, config.normalize)
    if any(equal(seen, normalized(choice, config.normalize)) for choice in choices):
        return RIGHT
    return wrong(config.field, got, or_list(choices))


def classification(config: Classification, sample: Sample) -> MetricResult:
    """Return 1 when a field holds the expected label, and the confusion pair either way."""
    wanted = expected_at(sample.expected, config.field)
    got = value_at(sample.output, config.field)
    seen, target = normalized(got, config.normalize), normalized(wanted, config.normalize)
    known = normalized(config.labels, config.normalize)
    if known and not any(equal(target, label) for label in known):
        raise MetricError(
            f"expected.{config.field} is {shown(wanted)}, which is none of the labels "
            f"{listed(map(shown, config.labels))}"
        )
    pair = {"expected": target, "got": None if got is MISSING else seen}
    if equal(seen, target):
        return MetricResult(1.0, "", pair)
    if got is MISSING:
        return MetricResult(0.0, mismatch(config.field, got, f"the class {shown(wanted)}"), pair)
    feedback = f"{config.field}: classified as {shown(got)}, expected the class {shown(wanted)}"
    if known and not any(equal(seen, label) for label in known):
        feedback += f"; the classes are {listed(map(shown, config.labels))}"
    return MetricResult(0.0, feedback, pair)


def _differences(got: Any, wanted: Any) -> str:
    """Return what is wrong with a whole output, field by field where there are fields."""
    if not (isinstance(got, dict) and isinstance(wanted, dict)):
        return f"got {shown(got)}, expected {shown(wanted)}"
    found = [
        mismatch(name, got.get(name, MISSING), shown(value))
        for name, value in sorted(wanted.items())
        if name not in got or not equal(got[name], value)
    ]
    found += [
        f"{name}: got {shown(value)}, expected no such field"
        for name, value in sorted(got.items())
        if name not in wanted
    ]
    return listed(found, "; ")
