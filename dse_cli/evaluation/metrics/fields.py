"""The metric that compares an object field by field, and the comparison itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from dse_cli.contracts.metrics.base import FieldRule
from dse_cli.contracts.metrics.match import Structured
from dse_cli.evaluation.json_values import equal, is_number, normalized, shown, value_at
from dse_cli.evaluation.metric_result import MetricError, MetricResult, Sample
from dse_cli.evaluation.metrics.common import expected_at, listed, mismatch
from dse_cli.evaluation.metrics.numbers import fraction, tolerance


class FieldShare(NamedTuple):
    """How much of an object is right.

    Attributes:
        score: weighted share of the right fields, in [0, 1].
        wrong: feedback by path of the wrong fields, sorted.
    """

    score: float
    wrong: dict[str, str]


def structured(config: Structured, sample: Sample) -> MetricResult:
    """Return the weighted share of the listed fields that are as expected."""
    share = field_share(config.fields, sample.output, sample.expected)
    metadata = {"wrong": sorted(share.wrong)}
    return MetricResult(share.score, listed(share.wrong.values(), "; "), metadata)


def field_share(rules: Mapping[str, FieldRule], got: Any, wanted: Any) -> FieldShare:
    """Compare the listed fields of two objects.

    Raises:
        MetricError: the expected object has not all of them.
    """
    right: list[float] = []
    wrong: dict[str, str] = {}
    for path in sorted(rules):
        rule, target = rules[path], expected_at(wanted, path)
        value = value_at(got, path)
        if _matches(rule, value, target, path):
            right.append(rule.weight)
        else:
            wrong[path] = mismatch(path, value, shown(target))
    total = math.fsum(rule.weight for rule in rules.values())
    return FieldShare(min(1.0, math.fsum(right) / total), wrong)


def _matches(rule: FieldRule, got: Any, wanted: Any, path: str) -> bool:
    if rule.abs_tolerance or rule.rel_tolerance:
        if not is_number(wanted):
            raise MetricError(f"{path!r} has a tolerance, but {shown(wanted)} is not a number")
        allowed = tolerance(fraction(wanted), rule.abs_tolerance, rule.rel_tolerance)
        return is_number(got) and abs(fraction(got) - fraction(wanted)) <= allowed
    return equal(normalized(got, rule.normalize), normalized(wanted, rule.normalize))
