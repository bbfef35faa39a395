"""Whether a signature of the project can stand in for a shipped meta-signature.

It may read less than is supplied and answer more than is needed. It may not read what nobody
supplies, take a field for another type or restrict it (an input that does not fit would end a run
that has cost money), or leave out what the optimizer needs of the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import canonical_text
from dse_cli.contracts.schema import is_full_schema
from dse_cli.optimizers.proposals.meta_signatures import shipped_signature
from dse_cli.project.suggest import did_you_mean
from dse_cli.workflows.pins.pin_problem import PinProblem

if TYPE_CHECKING:
    from dse_cli.contracts.meta import MetaName
    from dse_cli.contracts.schema import Schema
    from dse_cli.contracts.signature import Signature

#: Words of JSON Schema that say something about a value and restrict none.
_REMARKS: Final = frozenset(
    {"$comment", "title", "description", "default", "examples", "deprecated", "$schema", "$id"}
)
_OBJECT: Final = _REMARKS | {"type", "properties", "required", "additionalProperties"}


def override_problems(name: MetaName, signature: Signature) -> Iterator[PinProblem]:
    """Yield every reason why ``signature`` cannot stand in for the meta-signature ``name``."""
    shipped = shipped_signature(name)
    yield from _input_problems(name, signature, shipped.input_schema)
    yield from _output_problems(name, signature, shipped.output_schema)


def _input_problems(name: MetaName, signature: Signature, supplied: Schema) -> Iterator[PinProblem]:
    schema = signature.input_schema
    narrowing = sorted(schema.keys() - _OBJECT)
    if narrowing:
        message = f"{narrowing[0]!r} restricts the input, and what {name} is given may not fit"
        yield PinProblem(("input", narrowing[0]), message, "remove it", key=True)
    fields, known = schema.get("properties", {}), supplied["properties"]
    for field in dict.fromkeys([*fields, *schema.get("required", ())]):
        place = _place(signature.spec.input, "input", field)
        if field not in known:
            message = f"{name} is given no field {field!r}"
            hint = did_you_mean(field, known, otherwise="it is given")
            yield PinProblem(place, message, hint, key=True)
        elif field in fields and not _accepts(fields[field], known[field]):
            message = f"{name} is given {_kind(known[field])} as {field!r}, without limits"
            hint = f"declare it as {_spelling(known[field])}"
            yield PinProblem(place, message, hint, key=True)


def _output_problems(name: MetaName, signature: Signature, needed: Schema) -> Iterator[PinProblem]:
    schema = signature.output_schema
    fields = schema.get("properties", {})
    for field, fragment in needed["properties"].items():
        place = _place(signature.spec.output, "output", field)
        if field not in fields:
            message = f"{name} must answer {field!r}, and this signature does not"
            yield PinProblem(("output",), message, f"add {field}: {_spelling(fragment)}", key=True)
        elif not _types(fields[field]) or not _types(fields[field]) <= _types(fragment):
            message = f"the answer of {name} must hold {_kind(fragment)} as {field!r}"
            yield PinProblem(place, message, f"declare it as {_spelling(fragment)}", key=True)
        elif field not in schema.get("required", ()):
            message = f"the answer of {name} must always hold {field!r}, and here it is optional"
            yield PinProblem(place, message, "make it required", key=True)


def _place(written: Mapping[str, Any], part: str, field: str) -> tuple[str, ...]:
    """Return where a field stands in ``signature.yaml``; its part where it stands nowhere."""
    inner = written.get("properties", {}) if is_full_schema(written) else written
    if not isinstance(inner, Mapping) or field not in inner:
        return (part,)
    return (part, "properties", field) if is_full_schema(written) else (part, field)


def _accepts(fragment: Any, given: Mapping[str, Any]) -> bool:
    """Tell whether a field takes every value of the type that is given."""
    if fragment is True:
        return True
    if not isinstance(fragment, Mapping) or not fragment.keys() <= {*_REMARKS, "type", "items"}:
        return False
    if "type" in fragment and not _types(given) <= _types(fragment):
        return False
    # 'items' says nothing about what is no list.
    return "items" not in given or _accepts(fragment.get("items", True), given["items"])


def _types(fragment: Any) -> frozenset[str]:
    """Return the types that a field may have; none when it does not say."""
    written = fragment.get("type") if isinstance(fragment, Mapping) else None
    if written is None:
        return frozenset()
    return frozenset([written] if isinstance(written, str) else written)


def _kind(fragment: Mapping[str, Any]) -> str:
    words = {"string": "a text", "array": "a list of texts", "boolean": "true or false"}
    words |= {"number": "a number", "null": "null"}
    return " or ".join(words[one] for one in sorted(_types(fragment), reverse=True))


def _spelling(fragment: Mapping[str, Any]) -> str:
    """Return a type as one would write it in ``signature.yaml``."""
    about = {key: fragment[key] for key in ("type", "items") if key in fragment}
    if isinstance(fragment["type"], str) and len(about) == 1:
        return str(fragment["type"])
    items = "".join(f", {key}: {_flow(value)}" for key, value in about.items())
    return "{" + items.removeprefix(", ") + "}"


def _flow(value: Any) -> str:
    """Return a JSON value as YAML in one line; a word that YAML takes for something else quoted."""
    return canonical_text(value).replace('"', "").replace("null", '"null"').replace(":", ": ")
