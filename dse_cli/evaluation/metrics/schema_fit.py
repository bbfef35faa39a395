"""The metric that checks a JSON Schema beyond the signature's own."""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from dse_cli.contracts.metrics.match import JsonSchemaFit
from dse_cli.contracts.schema import DEEPEST, Checker, nests_deeper
from dse_cli.evaluation.json_values import MISSING, shortened, shown, value_at
from dse_cli.evaluation.metric_result import MetricResult, Sample
from dse_cli.evaluation.metrics.common import RIGHT, listed, wrong

_LONGEST: Final = 300  #: characters of one problem; the validator quotes values in full


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
            value = _parsed(value)
        except (ValueError, RecursionError) as error:
            said = f"{place}: got {shown(value)}, which is not JSON ({error}); expected JSON"
            return MetricResult(0.0, said)
    problems = Checker(config.schema_).problems(value)
    if not problems:
        return RIGHT
    found = (
        shortened(f"{_place(place, problem.location)}: {problem.message}", _LONGEST)
        for problem in problems
    )
    return MetricResult(0.0, listed(found, "; "), {"problems": len(problems)})


def _parsed(text: str) -> Any:
    """Return the JSON value of a text.

    Raises:
        ValueError: it has none that a schema can be held against.
        RecursionError: likewise.
    """
    value = json.loads(text, parse_constant=_refuse)
    if nests_deeper(value):
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    # 1e999 and half a surrogate pair are spelled in JSON, but mean no number and no text.
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    return value


def _place(root: str, location: tuple[str | int, ...]) -> str:
    return ".".join((root, *map(str, location)))


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")
