"""JSON files: readable, canonical in content, and read back exactly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.canonical import NotCanonicalError, canonical_bytes
from dse_cli.project.json_document import parse_json
from dse_cli.registry.json_text import json_file_bytes

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
    max_leaves=20,
)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_the_file_has_the_canonical_content_of_the_value(value: Any) -> None:
    written = json_file_bytes(value)
    assert canonical_bytes(json.loads(written)) == canonical_bytes(value)


@settings(deadline=None, max_examples=60)
@given(VALUES)
def test_the_projects_own_strict_reader_takes_the_file_back(value: Any) -> None:
    document = parse_json(json_file_bytes(value).decode(), name="x.json")
    assert canonical_bytes(document.value) == canonical_bytes(value)


def test_one_fact_stands_on_a_line_with_sorted_keys_and_plain_characters() -> None:
    value = {"b": [1.0, 1e-7, {}], "a": {"é\n": "ünï", "empty": []}, "10": True, "9": None}
    assert json_file_bytes(value).decode() == (
        "{\n"
        '  "10": true,\n'
        '  "9": null,\n'
        '  "a": {\n'
        '    "empty": [],\n'
        '    "é\\n": "ünï"\n'
        "  },\n"
        '  "b": [\n'
        "    1,\n"
        "    1e-7,\n"
        "    {}\n"
        "  ]\n"
        "}\n"
    )


def test_keys_are_sorted_by_utf16_units_as_rfc_8785_says() -> None:
    written = json_file_bytes({"\ufb33": 1, "\U0001f600": 2}).decode()
    assert written.index("\U0001f600") < written.index("\ufb33")


@pytest.mark.parametrize("value", [float("nan"), 2**53, {"a": {1}}, "\ud800"])
def test_what_rfc_8785_cannot_spell_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonicalError):
        json_file_bytes(value)
