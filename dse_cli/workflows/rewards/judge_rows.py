"""Whether every row of a dataset has what the judges of its reward must be shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from dse_cli.contracts.schema import Checker
from dse_cli.evaluation.json_values import MISSING
from dse_cli.evaluation.judges.pinned_judge import is_of_output, sample_value
from dse_cli.evaluation.metric_result import Sample

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge


def judge_row_problem(judges: Sequence[PinnedJudge]) -> Callable[[Row], str | None]:
    """Return a check of a row: what no judge can be shown of it, or None."""
    checks = [_check(judge) for judge in judges]

    def check(row: Row) -> str | None:
        return next((found for one in checks if (found := one(row)) is not None), None)

    return check


def _check(judge: PinnedJudge) -> Callable[[Row], str | None]:
    checks = [_question_check(judge, paths) for _, paths in judge.questions]
    return lambda row: next((found for one in checks if (found := one(row)) is not None), None)


def _question_check(
    judge: PinnedJudge, shown_by_field: Mapping[str, str]
) -> Callable[[Row], str | None]:
    schema = judge.policy.signature.input_schema
    required = set(schema.get("required", ()))
    properties = schema.get("properties", {})
    paths = {field: path for field, path in shown_by_field.items() if not is_of_output(path)}
    known = {field: properties[field] for field in paths if field in properties}
    checker = Checker({"type": "object", "properties": known, "$defs": schema.get("$defs", {})})

    def check(row: Row) -> str | None:
        sample = Sample(None, row.expected, row.input)
        for field, path in sorted(paths.items()):
            if field in required and sample_value(sample, path) is MISSING:
                return f"{judge.signal}: the judge needs {path!r}, and this row has none"
        shown = judge.value(paths, sample)
        if checker.fits(shown):
            return None
        location, said = checker.problems(shown)[0]
        field = str(location[0])
        return f"{judge.signal}: {paths[field]!r} does not fit the judge's {field!r}: {said}"

    return check
