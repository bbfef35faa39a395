from __future__ import annotations

from dse_cli.contracts.schema import Checker, expand
from dse_cli.evaluation.schema_fields import (
    choices_at,
    loosened,
    names_at,
    parts_of,
    schemas_at,
    types_at,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "queue": {"enum": ["billing", "other"]},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}},
        "total": {"anyOf": [{"type": "number"}, {"type": "null"}]},
        "free": {},
        "pair": {
            "type": "array",
            "prefixItems": [{"type": "string"}],
            "items": {"type": "integer"},
        },
    },
    "required": ["queue"],
    "$defs": {"line": {"type": "object", "properties": {"sku": {"type": "string"}}}},
}


def test_types_are_read_through_references_unions_lists_and_enums():
    assert types_at(SCHEMA, ("queue",)) == frozenset({"string"})
    assert types_at(SCHEMA, ("lines", 0, "sku")) == frozenset({"string"})
    assert types_at(SCHEMA, ("total",)) == frozenset({"number", "null"})
    assert types_at(SCHEMA, ("pair", 0)) == frozenset({"string"})
    assert types_at(SCHEMA, ("pair", 5)) == frozenset({"integer"})
    assert types_at(SCHEMA, ("free",)) is None


def test_what_does_not_exist_has_no_schema():
    assert schemas_at(SCHEMA, ("quue",)) == []
    assert schemas_at(SCHEMA, ("lines", "sku")) == []
    assert schemas_at(SCHEMA, ("lines", 0, "price")) == []


def test_a_reference_to_itself_ends():
    loop = {"$ref": "#"}
    assert schemas_at(loop, ("a",)) == []


def test_names_and_choices():
    assert names_at(SCHEMA, ("lines", 3)) == ["sku"]
    assert choices_at(SCHEMA, ("queue",)) == ["billing", "other"]


def test_a_loosened_field_takes_anything_and_the_others_do_not():
    schema = expand({"queue": {"enum": ["a", "b"]}, "n": "integer"})
    checker = Checker(loosened(schema, {"queue"}))
    assert checker.fits({"queue": ["a", "b"], "n": 1})
    assert not checker.fits({"queue": ["a"], "n": "x"})
    assert not checker.fits({"n": 1})
    assert not Checker(schema).fits({"queue": ["a"], "n": 1}), "the schema itself is untouched"


def test_a_loosened_name_that_the_output_does_not_have_may_stand_there_too():
    schema = expand({"answer": "string", "source": {"type": "object", "properties": {}}})
    checker = Checker(loosened(schema, {"forbidden", "source.ids"}))
    assert checker.fits({"answer": "a", "source": {"ids": [1]}, "forbidden": ["b"]})
    assert not checker.fits({"answer": "a", "source": {}, "other": 1})
    assert not checker.fits({"answer": 1, "source": {}})


def test_loosening_inside_a_list_opens_the_nearest_field_above():
    checker = Checker(loosened(SCHEMA, {"lines.0.sku"}))
    assert checker.fits({"queue": "other", "lines": "anything"})
    assert not checker.fits({"queue": "nope"})


def test_a_path_has_indexes_where_it_has_digits():
    assert parts_of("a.0.b2") == ("a", 0, "b2")
