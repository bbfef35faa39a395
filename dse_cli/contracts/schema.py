"""Input and output types: field shorthand, full JSON Schema 2020-12, and checking a value.

The shorthand is a mapping of field name to a type word (``ticket: string``) or a JSON Schema
fragment (``ticket: {type: string, description: ...}``). Every field is required unless its
fragment says ``optional: true``, and no other key is allowed. A mapping that says
``type: object`` is taken as a full JSON Schema, as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.canonical import canonical_text

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator

JSON_TYPES = ("string", "number", "integer", "boolean", "array", "object", "null")

Schema = dict[str, Any]

#: Levels of lists and objects in a value that a model gave. The validator cannot quote one of more
#: than 255, and metrics walk it by recursion.
DEEPEST: Final = 128


class SchemaProblem(NamedTuple):
    """Why a value does not fit, or why a schema is not one.

    Attributes:
        location: path of keys and indexes from the root of the value.
        message: one sentence.
    """

    location: tuple[str | int, ...]
    message: str


def is_full_schema(fields: Mapping[str, Any]) -> bool:
    """Tell a full JSON Schema object from the field shorthand."""
    return fields.get("type") == "object"


def expand(fields: Mapping[str, Any]) -> Schema:
    """Return the JSON Schema of a shorthand mapping, or a full schema unchanged.

    Raises:
        ValueError: a type word is not a JSON type.
    """
    if is_full_schema(fields):
        return dict(fields)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, written in fields.items():
        fragment = {"type": _type_word(name, written)} if isinstance(written, str) else written
        if not isinstance(fragment, Mapping):
            raise ValueError(f"{name!r}: expected a type word or a JSON Schema mapping")
        optional = fragment.get("optional", False)
        if not isinstance(optional, bool):
            raise ValueError(f"{name!r}: optional must be true or false")
        properties[name] = {key: value for key, value in fragment.items() if key != "optional"}
        if not optional:
            required.append(name)
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _type_word(name: str, word: str) -> str:
    if word not in JSON_TYPES:
        raise ValueError(
            f"{name!r}: {word!r} is not a type; expected one of {', '.join(JSON_TYPES)}"
        )
    return word


#: The words of JSON Schema 2020-12 that are accepted; a typo must not become "anything goes".
KEYWORDS = frozenset(
    {
        "$schema",
        "$id",
        "$defs",
        "$ref",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "type",
        "enum",
        "const",
        "properties",
        "required",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "maxProperties",
        "items",
        "prefixItems",
        "contains",
        "minContains",
        "maxContains",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "allOf",
        "anyOf",
        "oneOf",
        "not",
        "if",
        "then",
        "else",
        "dependentRequired",
        "dependentSchemas",
    }
)
_SCHEMA_MAPS = ("properties", "patternProperties", "$defs", "dependentSchemas")
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SCHEMAS = (
    "items",
    "additionalProperties",
    "propertyNames",
    "contains",
    "not",
    "if",
    "then",
    "else",
)


def schema_problems(schema: Any, location: tuple[str | int, ...] = ()) -> list[SchemaProblem]:
    """Return every reason why ``schema`` is not a JSON Schema that DSE accepts."""
    problems = list(_unknown_words(schema, location))
    if not problems:
        import jsonschema_rs

        for error in jsonschema_rs.Draft202012Validator(META_SCHEMA_REF).iter_errors(schema):
            problems.append(SchemaProblem((*location, *error.instance_path), error.message))
    return problems


META_SCHEMA_REF = {"$ref": "https://json-schema.org/draft/2020-12/schema"}


def _unknown_words(schema: Any, location: tuple[str | int, ...]) -> list[SchemaProblem]:
    if isinstance(schema, bool):
        return []
    if not isinstance(schema, Mapping):
        return [SchemaProblem(location, "expected a JSON Schema mapping")]
    found = _own_problems(schema, location)
    for word in _SCHEMA_MAPS:
        children = schema.get(word)
        if isinstance(children, Mapping):
            for name, child in children.items():
                found += _unknown_words(child, (*location, word, name))
    for word in _SCHEMA_LISTS:
        children = schema.get(word)
        if isinstance(children, list | tuple):
            for index, child in enumerate(children):
                found += _unknown_words(child, (*location, word, index))
    for word in _SCHEMAS:
        if word in schema:
            found += _unknown_words(schema[word], (*location, word))
    return found


def _own_problems(
    schema: Mapping[str, Any], location: tuple[str | int, ...]
) -> list[SchemaProblem]:
    found = [
        SchemaProblem((*location, word), f"{word!r} is not a JSON Schema keyword")
        for word in schema
        if word not in KEYWORDS
    ]
    ref = schema.get("$ref")
    if isinstance(ref, str) and not ref.startswith("#"):
        found.append(
            SchemaProblem((*location, "$ref"), "only references inside the file are followed")
        )
    if schema.get("enum") == []:  # the specification only advises against it: nothing would fit
        found.append(SchemaProblem((*location, "enum"), "an enum needs at least one value"))
    return found


@lru_cache(maxsize=256)
def _validator(canonical_schema: str) -> Draft202012Validator:
    import json

    import jsonschema_rs

    return jsonschema_rs.Draft202012Validator(json.loads(canonical_schema), validate_formats=True)


def nests_deeper(value: Any) -> bool:
    """Tell whether a JSON object or list is nested more than :data:`DEEPEST` levels deep."""
    level = [value] if isinstance(value, dict | list | tuple) else []
    for _ in range(DEEPEST):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item)
            if isinstance(child, dict | list | tuple)
        ]
        if not level:
            return False
    return True


class Checker:
    """A compiled JSON Schema.

    Args:
        schema: an accepted schema (see :func:`schema_problems`).
    """

    def __init__(self, schema: Schema) -> None:
        self._validator = _validator(canonical_text(schema))

    def fits(self, value: Any) -> bool:
        """Tell whether a JSON value fits."""
        return self._validator.is_valid(value)

    def problems(self, value: Any) -> list[SchemaProblem]:
        """Return every reason why a JSON value does not fit, in order of location."""
        found = [
            SchemaProblem(tuple(error.instance_path), error.message)
            for error in self._validator.iter_errors(value)
        ]
        return sorted(found, key=lambda problem: (str(problem.location), problem.message))
