from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.project.json_document import (
    JsonDocument,
    load_json,
    load_jsonl,
    parse_json,
    parse_jsonl,
)
from dse_cli.project.json_scanner import scan_json
from dse_cli.project.source_text import SourceText


def problem(text: str) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        parse_json(text, name="f.json")
    assert len(caught.value.diagnostics) == 1, caught.value.diagnostics
    return caught.value.diagnostics[0]


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("", "empty-file", 1, 1),
        (" \n ", "empty-file", 1, 1),
        ('{\n "a": 1,\n "a": 2}', "duplicate-key", 3, 2),
        ('{"a": {"b": 1, "b": 2}}', "duplicate-key", 1, 16),
        ('{"a": NaN}', "number-too-large", 1, 7),
        ("[1, -Infinity]", "number-too-large", 1, 5),
        ("[1e999]", "number-too-large", 1, 2),
        ("[9007199254740992]", "number-too-large", 1, 2),
        ("9" * 10_000, "number-too-large", 1, 1),
        ('{"a": 1,}', "json-syntax", 1, 8),
        ("[1,\n2,\n]", "json-syntax", 2, 2),
        ("{'a': 1}", "json-syntax", 1, 2),
        ('{"a" 1}', "json-syntax", 1, 6),
        ("[1 2]", "json-syntax", 1, 4),
        ("[1, 2", "json-syntax", 1, 5),
        ("[01]", "json-syntax", 1, 2),
        ("[.5]", "json-syntax", 1, 2),
        ("[True]", "json-syntax", 1, 2),
        ('["a\nb"]', "json-syntax", 1, 2),
        ('["\\x"]', "json-syntax", 1, 2),
        ('{"a": 1} {}', "json-syntax", 1, 10),
        ('// no comments\n{"a": 1}', "json-syntax", 1, 1),
        ('"\\ud800"', "invalid-character", 1, 1),
        ('{"\\udc00x": 1}', "invalid-character", 1, 2),
        ("[" * 65 + "]" * 65, "nested-too-deeply", 1, 65),
        ("[" * 100_000, "nested-too-deeply", 1, 65),
        ('\ufeff{"a": 1}', "byte-order-mark", 1, 1),
        ('<<<<<<< HEAD\n{"a": 1}\n', "merge-conflict", 1, 1),
        ('{"a": "\0"}', "nul-character", 1, 8),
    ],
)
def test_what_is_wrong_is_named_at_its_place(text: str, code: str, line: int, column: int) -> None:
    found = problem(text)
    assert (found.code, found.line, found.column) == (code, line, column)


def test_a_duplicate_key_names_both_positions() -> None:
    found = problem('{\n "a": 1,\n "a": 2}')
    assert found.message == "the key 'a' is given twice, first at line 2, column 2"
    assert found.source == ' "a": 2}'


def test_several_problems_come_at_once() -> None:
    with pytest.raises(SpecError) as caught:
        parse_json('{"a": NaN,\n"a": 1e999}', name="f")
    assert [(p.line, p.code) for p in caught.value.diagnostics] == [
        (1, "number-too-large"),
        (2, "duplicate-key"),
        (2, "number-too-large"),
    ]


def test_nesting_up_to_the_limit_and_surrogate_pairs_are_read() -> None:
    assert parse_json("[" * 64 + "]" * 64, name="f").value != []
    assert parse_json('"\\ud83d\\ude00"', name="f").value == "😀"
    many = json.dumps([{} for _ in range(100)])
    assert len(parse_json(many, name="f").value) == 100


def test_positions_are_those_of_values_and_keys() -> None:
    document = parse_json('{\n  "a": [1, {"b": "x"}]\n}', name="f.json")
    assert document.position(("a", 1, "b")) == (2, 18)
    assert document.position(("a", 1, "b"), key=True) == (2, 13)
    assert document.position(("a", 7)) == document.position(("a",)) == (2, 8)
    found = document.diagnostic(("a", 1, "b"), "c", "m")
    assert (found.file, found.line, found.source) == ("f.json", 2, '  "a": [1, {"b": "x"}]')


def test_a_json_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{"a": 1}\n', encoding="utf-8")
    assert load_json(path, name="x.json").value == {"a": 1}


def test_jsonl_rows_carry_their_line_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes('{"id": 1}\r\n\n{"id": "a\u2028b"}\n'.encode())
    rows = load_jsonl(path)
    assert list(rows) == [(1, {"id": 1}), (3, {"id": "a\u2028b"})]
    assert len(rows) == 2


def test_a_row_of_jsonl_can_be_pointed_into() -> None:
    rows = parse_jsonl('{"id": 1}\n{"id": 2, "input": {"x": 3}}\n', name="rows.jsonl")
    found = rows.diagnostic(rows.rows[1], ("input", "x"), "code", "message", "hint")
    assert (found.file, found.line, found.column) == ("rows.jsonl", 2, 26)
    assert found.source == '{"id": 2, "input": {"x": 3}}'


def test_every_bad_line_of_jsonl_is_reported() -> None:
    with pytest.raises(SpecError) as caught:
        parse_jsonl('{"a": 1}\n{"a": }\n{"a": 1, "a": 2}\n[1,]\n', name="rows.jsonl")
    assert [(p.line, p.column, p.code) for p in caught.value.diagnostics] == [
        (2, 7, "json-syntax"),
        (3, 10, "duplicate-key"),
        (4, 3, "json-syntax"),
    ]


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=JSON_VALUES, ascii_only=st.booleans(), indent=st.sampled_from([None, 2]))
def test_the_careful_and_the_fast_reader_agree(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    node, problems = scan_json(SourceText("f", text))
    assert problems == []
    assert node.to_value() == value == json.loads(text)


JSON_LIKE = st.lists(
    st.sampled_from([*'{}[]:,"\\ntrue1-.eE \n\0\u2028é', '"a"', '"a":', "NaN", "null", "\\ud800"]),
    max_size=25,
).map("".join)


def attempt(text: str) -> JsonDocument | tuple[Diagnostic, ...]:
    try:
        return parse_json(text, name="f")
    except SpecError as error:
        return error.diagnostics


@settings(max_examples=400, deadline=None)
@given(text=JSON_LIKE)
def test_any_text_parses_as_json_does_or_is_refused_with_positions_inside(text: str) -> None:
    lines = text.split("\n")
    result = attempt(text)
    if isinstance(result, JsonDocument):
        assert result.value == json.loads(text)
        return
    assert result
    for found in result:
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
