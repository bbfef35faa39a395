"""Whether a reward fits a signature, before anything is spent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from dse_cli.contracts.metrics.match import Classification
from dse_cli.contracts.penalties import Length
from dse_cli.evaluation.metrics import METRICS
from dse_cli.evaluation.rewards.penalties import penalty_name
from dse_cli.evaluation.schema_fields import choices_at, names_at, parts_of, schemas_at, types_at
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.base import MetricConfig
    from dse_cli.contracts.reward import RewardSpec
    from dse_cli.contracts.signature import Signature
    from dse_cli.evaluation.metrics.registry import Types

Location = tuple[str | int, ...]


class RewardProblem(NamedTuple):
    """Why a reward does not fit a signature.

    Attributes:
        location: path inside the reward (``("signals", 1, "exact_match", "field")``).
        message: one sentence.
        hint: what to do, or None.
    """

    location: Location
    message: str
    hint: str | None


def signal_config(signal: Any) -> tuple[str, MetricConfig]:
    """Return the key and the settings of a signal."""
    name = next(iter(type(signal).model_fields))
    config: MetricConfig = getattr(signal, name)
    return name, config


def reward_problems(spec: RewardSpec, signature: Signature) -> list[RewardProblem]:
    """Return every reason why the signals and penalties do not fit the signature."""
    found: list[RewardProblem] = []
    for index, signal in enumerate(spec.signals):
        name, config = signal_config(signal)
        found += _signal_problems(("signals", index, name), name, config, signature)
    for index, penalty in enumerate(spec.penalties):
        name = penalty_name(penalty)
        settings = getattr(penalty, name)
        if isinstance(settings, Length) and settings.field is not None:
            place = ("penalties", index, name, "field")
            found += _missing_field(place, settings.field, signature.output_schema, "output")
    return found


def _signal_problems(
    base: Location, name: str, config: MetricConfig, signature: Signature
) -> Iterator[RewardProblem]:
    needs = METRICS[name].needs if name in METRICS else None
    if name == "json_schema" and getattr(config, "parse", False):
        needs = (frozenset({"string"}), "a text")
    for place, path in config.output_paths:
        location = (*base, *place)
        missing = list(_missing_field(location, path, signature.output_schema, "output"))
        yield from missing
        if not missing and needs is not None:
            yield from _wrong_type(location, name, path, needs, signature.output_schema)
    for place, path in config.input_paths:
        yield from _missing_field((*base, *place), path, signature.input_schema, "input")
    if isinstance(config, Classification):
        yield from _unknown_labels(base, config, signature.output_schema)


def _missing_field(
    location: Location, field: str, schema: Mapping[str, Any], where: str
) -> Iterator[RewardProblem]:
    path, root = parts_of(field), dict(schema)
    if schemas_at(root, path):
        return
    reached = _reached(root, path)
    hint = did_you_mean(str(path[reached]), names_at(root, path[:reached]), otherwise="fields")
    yield RewardProblem(location, f"the {where} has no field {field!r}", hint)


def _wrong_type(
    location: Location, name: str, field: str, needs: tuple[Types, str], schema: Mapping[str, Any]
) -> Iterator[RewardProblem]:
    allowed, words = needs
    types = types_at(dict(schema), parts_of(field))
    if types is None or types & allowed:
        return
    said = f"{name} needs {words}, but {field!r} is of type {' or '.join(sorted(types))}"
    yield RewardProblem(location, said, "use exact_match for this field")


def _unknown_labels(
    base: Location, config: Classification, schema: Mapping[str, Any]
) -> Iterator[RewardProblem]:
    choices = choices_at(dict(schema), parts_of(config.field))
    known = [choice for choice in choices if isinstance(choice, str)]
    if config.normalize or not known:
        return
    for index, label in enumerate(config.labels):
        if label not in known:
            hint = did_you_mean(label, known, otherwise="the field can be")
            said = f"{config.field!r} can never be {label!r}"
            yield RewardProblem((*base, "labels", index), said, hint)


def _reached(schema: dict[str, Any], path: Location) -> int:
    """Return how many leading parts of a path exist."""
    return max(n for n in range(len(path)) if n == 0 or schemas_at(schema, path[:n]))
