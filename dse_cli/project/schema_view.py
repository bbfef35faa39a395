"""What a contract expects at a place, read off its JSON Schema: for messages, never for checks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.errors import PydanticInvalidForJsonSchema

if TYPE_CHECKING:
    from dse_cli.contracts.base import Contract
    from dse_cli.project.document import Loc

_Schema = dict[str, Any]
_TYPES = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
    "null": "null",
}


class SchemaView:
    """The JSON Schema of a contract, walked along the locations of a document."""

    def __init__(self, contract: type[Contract]) -> None:
        try:
            self._root: _Schema = contract.model_json_schema(by_alias=True, mode="validation")
        except PydanticInvalidForJsonSchema:
            # Such a contract is still checked; its messages only know less.
            self._root = {}
        self._defs: dict[str, _Schema] = self._root.get("$defs", {})

    def at(self, loc: Loc, value: Any) -> list[_Schema]:
        """Return the schemas that may apply at ``loc`` of the root value, unions expanded.

        Where a union of mappings is passed, the branches that share most keys with what stands in
        the document are kept.
        """
        found = self._expand(self._root)
        for part in loc:
            found = [
                branch
                for schema in _closest(found, value)
                for child in self._children(schema, part)
                for branch in self._expand(child)
            ]
            value = _child_value(value, part)
        return _closest(found, value)

    def keys(self, loc: Loc, value: Any) -> list[str]:
        """Return the keys that a mapping at ``loc`` may have, sorted."""
        schemas = self.at(loc, value)
        return sorted({key for schema in schemas for key in schema.get("properties", {})})

    def constant(self, loc: Loc, value: Any, key: str) -> Any:
        """Return the only value that ``key`` of the mapping at ``loc`` may have, or None."""
        values = [
            child["const"]
            for schema in self.at(loc, value)
            for child in self._expand(schema.get("properties", {}).get(key, {}))
            if "const" in child
        ]
        return values[0] if len(values) == 1 else None

    def types(self, loc: Loc, value: Any) -> set[str]:
        """Return the JSON types allowed at ``loc``."""
        return {str(schema["type"]) for schema in self.at(loc, value) if "type" in schema}

    def choices(self, loc: Loc, value: Any) -> list[Any]:
        """Return the values that are listed at ``loc``, in the order of the contract."""
        listed: list[Any] = []
        for schema in self.at(loc, value):
            listed += schema.get("enum", [schema["const"]] if "const" in schema else [])
        return listed

    def expected(self, loc: Loc, value: Any) -> str | None:
        """Return in words what may stand at ``loc``: ``a number from 0 to 1``."""
        words: list[str] = []
        for schema in self.at(loc, value):
            word = describe(schema)
            if word and word not in words:
                words.append(word)
        if len(words) > 1:
            # That an optional value may be null is no help to someone who wrote one.
            words = [word for word in words if word != _TYPES["null"]]
        return " or ".join(words) or None

    def _expand(self, schema: _Schema) -> list[_Schema]:
        while "$ref" in schema:
            target = self._defs.get(str(schema["$ref"]).rsplit("/", 1)[-1], {})
            schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
        for word in ("anyOf", "oneOf"):
            if word in schema:
                return [leaf for branch in schema[word] for leaf in self._expand(branch)]
        if len(schema.get("allOf", ())) == 1:
            return self._expand(schema["allOf"][0])
        return [schema]

    def _children(self, schema: _Schema, part: str | int) -> list[_Schema]:
        if isinstance(part, int):
            prefix = schema.get("prefixItems", [])
            child = prefix[part] if part < len(prefix) else schema.get("items")
        else:
            child = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
            if child is None or child is True:
                child = next(iter(schema.get("patternProperties", {}).values()), None)
        return [child] if isinstance(child, dict) else []


def _child_value(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return None


def _closest(schemas: list[_Schema], value: Any) -> list[_Schema]:
    """Keep the mapping branches that know most of the keys of ``value``."""
    if len(schemas) < 2 or not isinstance(value, dict):
        return schemas
    schemas = [schema for schema in schemas if _may_be(schema, value)] or schemas
    scores = [len(set(schema.get("properties", {})) & set(value)) for schema in schemas]
    best = max(scores)
    if best == 0:
        return schemas
    return [schema for schema, score in zip(schemas, scores, strict=True) if score == best]


def _may_be(schema: _Schema, value: dict[str, Any]) -> bool:
    """Whether no key has another value than the only one it may have here (``id: racing``)."""
    known = schema.get("properties", {})
    return all(known.get(key, {}).get("const", held) == held for key, held in value.items())


def describe(schema: _Schema) -> str:
    """Return one schema without unions in words, with its range or choices."""
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(repr(choice) for choice in schema["enum"])
    kind = str(schema.get("type", ""))
    if kind in ("integer", "number"):
        return _TYPES[kind] + _range(schema)
    if kind == "string":
        return _TYPES[kind] + _size(schema, "Length", "character")
    if kind == "array":
        return _TYPES[kind] + _size(schema, "Items", "item")
    if kind == "object":
        return _TYPES[kind] + _size(schema, "Properties", "key")
    return _TYPES.get(kind, "")


def _range(schema: _Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {_number(low)} to {_number(high)}"
    bounds = (
        ("at least", low),
        ("above", schema.get("exclusiveMinimum")),
        ("at most", high),
        ("below", schema.get("exclusiveMaximum")),
    )
    parts = [f"{words} {_number(bound)}" for words, bound in bounds if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""


def _number(bound: float) -> str:
    return str(int(bound)) if float(bound).is_integer() else str(bound)


def _size(schema: _Schema, what: str, unit: str) -> str:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if low is not None and high is not None:
        return f" of {low} to {high} {unit}s"
    if low is not None:
        return f" of at least {low} {unit}" + ("s" if low != 1 else "")
    if high is not None:
        return f" of at most {high} {unit}" + ("s" if high != 1 else "")
    return ""
