"""Fields inside a JSON Schema, by dotted path: which exist, of which types, and how to loosen them.

For messages and conversions only; whether a value fits is always said by a JSON Schema validator.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Final

from dse_cli.contracts.schema import Schema

_UNIONS: Final = ("anyOf", "oneOf", "allOf")
_MAX_REFS: Final = 16
_LONGEST_INDEX: Final = 10
_TYPE_OF: Final = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    list: "array",
    tuple: "array",
    dict: "object",
}


def schemas_at(root: Schema, path: Sequence[str | int]) -> list[Schema]:
    """Return every schema that may apply at a path, unions and references expanded; [] if none."""
    found = _branches(root, root)
    for part in path:
        found = [
            branch
            for schema in found
            for child in _children(schema, part)
            for branch in _branches(root, child)
        ]
    return found


def types_at(root: Schema, path: Sequence[str | int]) -> frozenset[str] | None:
    """Return the JSON types that may stand at a path; None when the schema does not say."""
    found: set[str] = set()
    for schema in schemas_at(root, path):
        if any(word in schema for word in _UNIONS):
            continue  # its branches are in the list themselves
        types = _types(schema)
        if types is None:
            return None
        found |= types
    return frozenset(found) or None


def names_at(root: Schema, path: Sequence[str | int]) -> list[str]:
    """Return the names of the fields of the object at a path, sorted."""
    return sorted({name for s in schemas_at(root, path) for name in s.get("properties", {})})


def choices_at(root: Schema, path: Sequence[str | int]) -> list[Any]:
    """Return the values listed (``enum``, ``const``) at a path."""
    listed: list[Any] = []
    for schema in schemas_at(root, path):
        listed += schema.get("enum", [schema["const"]] if "const" in schema else [])
    return listed


def loosened(schema: Schema, fields: Iterable[str]) -> Schema:
    """Return a schema that takes any value at the dotted paths ``fields``.

    Where a path leads through a reference, a union or a list, the nearest property above is opened.
    A name that its object does not have becomes one that it may have: what a metric reads besides.
    """
    opened = copy.deepcopy(schema)
    for field in sorted(fields):
        slot = _slot(opened, field.split("."))
        if slot is None:
            return {"type": "object"}
        children, name = slot
        children[name] = {}
    return opened


def _slot(schema: Schema, path: list[str]) -> tuple[dict[str, Any], str] | None:
    """Return where the property at a path stands or would stand, or the nearest one above it."""
    node, slot = schema, None
    for depth, part in enumerate(path, 1):
        children = node.get("properties")
        if not isinstance(children, dict):
            return slot
        if depth == len(path):
            return children, part
        if not isinstance(children.get(part), dict):
            return slot
        slot, node = (children, part), children[part]
    return slot


def parts_of(path: str) -> tuple[str | int, ...]:
    """Return a dotted path as keys and list indexes, for locations."""
    return tuple(int(part) if is_index(part) else part for part in path.split("."))


def is_index(part: str) -> bool:
    """Tell a list index in a dotted path."""
    return part.isascii() and part.isdigit() and len(part) < _LONGEST_INDEX


def _branches(root: Schema, schema: Any, refs: int = 0) -> list[Schema]:
    if not isinstance(schema, dict):
        return [{}] if schema is True else []
    ref = schema.get("$ref")
    if isinstance(ref, str):
        if refs >= _MAX_REFS:
            return []
        return _branches(root, _resolve(root, ref), refs + 1)
    found = [schema]
    for word in _UNIONS:
        for branch in schema.get(word, ()):
            found += _branches(root, branch, refs + 1) if refs < _MAX_REFS else []
    return found


def _resolve(root: Schema, ref: str) -> Any:
    target: Any = root
    for part in ref.removeprefix("#").strip("/").split("/"):
        if part:
            name = part.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
    return target


def _children(schema: Schema, part: str | int) -> list[Any]:
    properties = schema.get("properties", {})
    if str(part) in properties:
        return [properties[str(part)]]
    if isinstance(part, int) and ("items" in schema or "prefixItems" in schema):
        prefix = schema.get("prefixItems", ())
        return [prefix[part] if part < len(prefix) else schema.get("items")]
    further = schema.get("additionalProperties")
    if isinstance(further, dict) or further is True:
        return [further]
    return list(schema.get("patternProperties", {}).values())


def _types(schema: Schema) -> set[str] | None:
    declared = schema.get("type")
    if isinstance(declared, str):
        return {declared}
    if isinstance(declared, list | tuple):
        return set(declared)
    values = schema.get("enum", [schema["const"]] if "const" in schema else None)
    return None if values is None else {_TYPE_OF[type(value)] for value in values}
