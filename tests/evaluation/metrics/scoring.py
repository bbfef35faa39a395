"""Scores one output by one metric as YAML names it."""

from __future__ import annotations

from typing import Any

from hypothesis import settings as hypothesis_settings

from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics import METRICS

#: The first call of some metrics imports SciPy: a cold start is no failure.
NO_DEADLINE = hypothesis_settings(deadline=None, max_examples=40, derandomize=True)


def judge(
    key: str, output: Any, expected: Any, given: Any = None, /, **settings: Any
) -> MetricResult:
    """Return what the metric ``key`` says; ``settings`` as in YAML, without the weight."""
    metric = METRICS[key]
    config = metric.config.model_validate({"weight": 1, **settings})
    return metric.score(config, Sample(output, expected, given or {}))


def at(value: Any) -> dict[str, Any]:
    """Return an object with the value in the field ``x``."""
    return {"x": value}


def score(key: str, output: Any, expected: Any, /, **settings: Any) -> float:
    """Return the score of a value in the field ``x`` against the expected one."""
    return judge(key, at(output), at(expected), field="x", **settings).score


def feedback(key: str, output: Any, expected: Any, /, **settings: Any) -> str:
    """Return the feedback on a value in the field ``x``."""
    return judge(key, at(output), at(expected), field="x", **settings).feedback
