"""Whether a judge fits the task it is to judge: its fields, the paths it is shown, its answer.

All of this is said before anything is spent, each problem at its place in the reward.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.contracts.metrics.judges import WINNERS, PairwiseJudge
from dse_cli.evaluation.judges.pinned_judge import is_of_output
from dse_cli.evaluation.schema_fields import choices_at, names_at, parts_of, schemas_at, types_at
from dse_cli.project.suggest import did_you_mean
from dse_cli.workflows.pins.pin_problem import PinProblem

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.judges import Judge
    from dse_cli.contracts.schema import Schema
    from dse_cli.contracts.signature import Signature

_TEXT: Final = frozenset({"string"})
_NUMBERS: Final = frozenset({"integer", "number"})


def judge_problems(
    config: Judge | PairwiseJudge, judge: Signature, task: Signature
) -> Iterator[PinProblem]:
    """Yield every reason why ``judge`` cannot judge the outputs of ``task`` as it is set up."""
    shown = _shown(config)
    for one in shown:
        yield from _field_problems(one, judge, task)
    given = {one.field for one in shown}
    for field in sorted(set(judge.input_schema.get("required", ())) - given):
        message = f"the judge needs {field!r}, and nothing is given for it"
        hint = f"add it to inputs, with a path: {field}: expected..."
        yield PinProblem(("inputs",), message, hint, key=True)
    if isinstance(config, PairwiseJudge):
        yield from _winner_problems(config, judge)
    else:
        yield from _score_problems(config, judge)
    if config.feedback is not None:
        yield from _answer_problems("feedback", config.feedback, judge, _TEXT, "a text")


class _Shown(NamedTuple):
    """An input field of the judge and the path that it is given, each with where it is set."""

    field: str
    field_location: tuple[str, ...]
    path: str
    path_location: tuple[str, ...]


def _shown(config: Judge | PairwiseJudge) -> list[_Shown]:
    """Return what the judge is shown, in every question that it is asked."""
    shown = [
        _Shown(field, ("inputs", field), path, ("inputs", field))
        for field, path in config.inputs.items()
    ]
    if isinstance(config, PairwiseJudge):
        fields = ((config.first, ("first",)), (config.second, ("second",)))
        paths = ((config.ours, ("ours",)), (config.theirs, ("theirs",)))
        shown += [_Shown(*field, *path) for field in fields for path in paths]
    return shown


def _field_problems(one: _Shown, judge: Signature, task: Signature) -> Iterator[PinProblem]:
    field, path, location = one.field, one.path, one.path_location
    if not schemas_at(judge.input_schema, (field,)):
        hint = did_you_mean(field, names_at(judge.input_schema, ()), otherwise="its input fields")
        message = f"the judge {judge.id} has no input field {field!r}"
        yield PinProblem(one.field_location, message, hint, key=location[0] == "inputs")
        return
    root, _, rest = path.partition(".")
    schema = task.input_schema if root == "input" else task.output_schema
    parts = parts_of(rest) if rest else ()
    missing = _first_missing(schema, parts)
    if missing is not None:
        side = "input" if root == "input" else "output"
        message = f"{path!r} leads nowhere: the {side} of {task.id} has no field {rest!r}"
        known = names_at(schema, parts[:missing])
        yield PinProblem(
            location, message, did_you_mean(str(parts[missing]), known, otherwise="fields")
        )
        return
    needed = field in judge.input_schema.get("required", ())
    if is_of_output(path) and needed and not _is_always_there(schema, parts):
        message = f"{path!r} may be absent from an output, and the judge needs {field!r}"
        hint = "an answer could escape its judge by leaving it out; judge a required field"
        yield PinProblem(location, message, hint)
    takes, gives = types_at(judge.input_schema, (field,)), types_at(schema, parts)
    if takes is None or gives is None or takes == _TEXT or gives <= _widened(takes):
        return
    message = (
        f"{path!r} is {_words(gives)}, and the judge's field {field!r} must be {_words(takes)}"
    )
    yield PinProblem(location, message)


def _score_problems(config: Judge, judge: Signature) -> Iterator[PinProblem]:
    found = list(_answer_problems("score", config.score, judge, _NUMBERS, "a number"))
    yield from found
    if found:
        return
    low, high = config.scale
    values = _extremes(judge.output_schema, config.score)
    outside = [value for value in values if not low <= value <= high]
    if outside:
        message = (
            f"{config.score!r} can be {outside[-1]:g}, which is off the scale {low:g} to {high:g}"
        )
        hint = f"write scale: [{values[0]:g}, {values[-1]:g}]" if len(values) > 1 else None
        yield PinProblem(("score",), message, hint)


def _winner_problems(config: PairwiseJudge, judge: Signature) -> Iterator[PinProblem]:
    found = list(_answer_problems("winner", config.winner, judge, _TEXT, "a text"))
    yield from found
    choices = choices_at(judge.output_schema, parts_of(config.winner))
    if not found and (not {"a", "b"} <= set(choices) or not set(choices) <= set(WINNERS)):
        message = f"{config.winner!r} is not one of a, b and tie"
        hint = f"give it this type in the judge: {config.winner}: {{enum: [a, b, tie]}}"
        yield PinProblem(("winner",), message, hint)


def _answer_problems(
    key: str, field: str, judge: Signature, allowed: frozenset[str], words: str
) -> Iterator[PinProblem]:
    """Yield why a field of the judge's answer is not always there, or is of the wrong type."""
    schema, parts = judge.output_schema, parts_of(field)
    missing = _first_missing(schema, parts)
    types = types_at(schema, parts)
    if missing is not None:
        known = names_at(schema, parts[:missing])
        hint = did_you_mean(str(parts[missing]), known, otherwise="its output fields")
        yield PinProblem((key,), f"the judge {judge.id} answers no field {field!r}", hint)
    elif types is None or not types <= allowed:
        kind = "of any type" if types is None else _words(types)
        yield PinProblem((key,), f"{field!r} of the judge must be {words}, and is {kind}")
    elif key != "feedback" and not _is_always_there(schema, parts):
        message = f"{field!r} may be absent from the judge's answer"
        yield PinProblem((key,), message, "make it a required field of the judge")


def _first_missing(schema: Schema, parts: Sequence[str | int]) -> int | None:
    """Return the index of the first part of a path that leads nowhere, or None."""
    return next((n for n in range(len(parts)) if not schemas_at(schema, parts[: n + 1])), None)


def _is_always_there(schema: Schema, parts: Sequence[str | int]) -> bool:
    """Whether every value that fits has something at a path; an item of a list may be absent."""
    return all(
        isinstance(part, str)
        and all(part in branch.get("required", ()) for branch in _plain(schema, parts[:index]))
        for index, part in enumerate(parts)
    )


def _plain(schema: Schema, parts: Sequence[str | int]) -> list[Schema]:
    """Return the schemas at a path, without those that only list others."""
    found = schemas_at(schema, parts)
    return [one for one in found if "properties" in one or "required" in one] or found


def _extremes(schema: Schema, field: str) -> list[float]:
    """Return the least and the greatest values that a field says it can have."""
    parts = parts_of(field)
    listed = [float(choice) for choice in choices_at(schema, parts)]
    bounds = [
        float(found[word])
        for found in schemas_at(schema, parts)
        for word in ("minimum", "maximum")
        if word in found
    ]
    values = listed or bounds
    return sorted({min(values), max(values)}) if values else []


def _widened(types: frozenset[str]) -> frozenset[str]:
    return types | {"integer"} if "number" in types else types


def _words(types: Any) -> str:
    return f"of type {' or '.join(sorted(types))}"
