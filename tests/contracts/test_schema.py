from __future__ import annotations

import pytest

from dse_cli.contracts.schema import Checker, expand, schema_problems


def test_a_type_word_is_a_required_field_and_no_other_key_is_allowed() -> None:
    schema = expand({"ticket": "string", "n": "integer"})
    assert schema == {
        "type": "object",
        "properties": {"ticket": {"type": "string"}, "n": {"type": "integer"}},
        "required": ["ticket", "n"],
        "additionalProperties": False,
    }
    checker = Checker(schema)
    assert checker.fits({"ticket": "hi", "n": 1})
    assert not checker.fits({"ticket": "hi"})
    assert not checker.fits({"ticket": "hi", "n": 1, "extra": 1})


def test_optional_is_a_word_of_the_shorthand_and_not_of_the_schema() -> None:
    schema = expand({"a": {"type": "string", "optional": True}, "b": {"type": "string"}})
    assert schema["required"] == ["b"]
    assert "optional" not in schema["properties"]["a"]
    assert Checker(schema).fits({"b": "x"})


def test_a_full_schema_is_taken_as_it_stands() -> None:
    full = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert expand(full) == full
    assert Checker(expand(full)).fits({"other": 1})


@pytest.mark.parametrize(
    "fields",
    [{"a": "text"}, {"a": 7}, {"a": ["string"]}, {"a": {"type": "string", "optional": "yes"}}],
)
def test_a_shorthand_that_says_no_type_is_refused_and_names_the_field(fields) -> None:
    with pytest.raises(ValueError, match="'a'"):
        expand(fields)


@pytest.mark.parametrize(
    ("schema", "location"),
    [
        ({"type": "object", "propertys": {}}, ("propertys",)),
        (expand({"a": {"enmu": [1]}}), ("properties", "a", "enmu")),
        (expand({"a": {"items": {"typ": "string"}}}), ("properties", "a", "items", "typ")),
        (expand({"a": {"anyOf": [{}, {"x": 1}]}}), ("properties", "a", "anyOf", 1, "x")),
        ({"type": "object", "$defs": {"d": {"mnimum": 1}}}, ("$defs", "d", "mnimum")),
    ],
)
def test_an_unknown_keyword_is_found_wherever_it_stands(schema, location) -> None:
    assert [problem.location for problem in schema_problems(schema)] == [location]


def test_a_keyword_may_be_the_name_of_a_field() -> None:
    assert schema_problems(expand({"nonsense": "string", "properties": "string"})) == []


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"type": "object", "required": "a"},
        {"type": "object", "properties": {"a": 7}},
        {"type": "object", "properties": {"a": {"$ref": "https://example.org/a.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "other.json#/a"}}},
    ],
)
def test_what_is_no_json_schema_or_leaves_the_file_is_refused(schema) -> None:
    assert schema_problems(schema)


def test_references_inside_the_file_are_followed() -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/short"}},
        "$defs": {"short": {"type": "string", "maxLength": 2}},
    }
    assert schema_problems(schema) == []
    assert not Checker(schema).fits({"a": "long"})


def test_formats_are_checked() -> None:
    checker = Checker(expand({"day": {"type": "string", "format": "date"}}))
    assert checker.fits({"day": "2024-02-29"})
    assert not checker.fits({"day": "2023-02-29"})


def test_problems_name_the_place_and_come_in_a_fixed_order() -> None:
    checker = Checker(expand({"b": "integer", "a": {"type": "array", "items": {"type": "string"}}}))
    found = checker.problems({"b": "x", "a": ["ok", 7]})
    assert [problem.location for problem in found] == [("a", 1), ("b",)]
