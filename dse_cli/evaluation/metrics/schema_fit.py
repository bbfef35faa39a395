"""The metric that checks a JSON Schema beyond the signature's own."""

from __future__ import annotations

import json
from typing import NoReturn

from dse_cli.contracts.metrics.match import JsonSchemaFit
from dse_cli.contracts.schema import Checker
from dse_cli.evaluation.json_values import MISSING, shown, value_at
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, listed, wrong


def json_schema(config: JsonSchemaFit, sample: Sample) -> MetricResult:
    """Return 1 when the output, or a field of it, fits the schema."""
    value, place = sample.output, config.field or "output"
    if config.field is not None:
        value = value_at(value, config.field)
        if value is MISSING or (config.parse and not isinstance(value, str)):
            words = "a text that holds JSON" if config.parse else "a value that fits the schema"
            return wrong(config.field, value, words)
    if config.parse:
        try:
            value = json.loads(value, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            said = f"{place}: got {shown(value)}, which is not JSON ({error}); expected JSON"
            return MetricResult(0.0, said)
    problems = Checker(config.schema_).problems(value)
    if not problems:
        return RIGHT
    found = (f"{_place(place, problem.location)}: {problem.message}" for problem in problems)
    return MetricResult(0.0, listed(found, "; "), {"problems": len(problems)})


def _place(root: str, location: tuple[str | int, ...]) -> str:
    return ".".join((root, *map(str, location)))


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
