from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.canonical import canonical_bytes
from dse_cli.contracts.metrics.base import Normalization
from dse_cli.evaluation.json_values import MISSING, equal, normalized, shown, value_at

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([-1.0, -0.0, 0.0, 0.5, 1.0, 2.0])
    | st.sampled_from(["", "a", "A", "1", "true"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner),
    max_leaves=6,
)


@given(JSON, JSON)
def test_equality_is_equality_of_canonical_bytes(left, right):
    assert equal(left, right) == (canonical_bytes(left) == canonical_bytes(right))


@given(JSON)
def test_a_value_equals_itself(value):
    assert equal(value, value)


def test_numbers_compare_as_numbers_and_booleans_do_not():
    assert equal(1, 1.0)
    assert equal({"a": [1]}, {"a": [1.0]})
    assert not equal(1, True)
    assert not equal(0, False)
    assert not equal(None, False)
    assert not equal("1", 1)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [10, {"c": None}]}),
        ("a.b.0", 10),
        ("a.b.1.c", None),
        ("a.b.2", MISSING),
        ("a.b.-1", MISSING),
        ("a.b.x", MISSING),
        ("a.b.²", MISSING),
        ("a.b.99999999999999999999", MISSING),
        ("z", MISSING),
        ("a.b.0.c", MISSING),
    ],
)
def test_a_dotted_path_leads_through_fields_and_list_indexes(path, found):
    assert value_at({"a": {"b": [10, {"c": None}]}}, path) == found


def test_normalisation_reaches_every_text_and_no_key():
    value = {" K ": [" A  b ", 3, {"x": "\tC\n"}]}
    steps: tuple[Normalization, ...] = ("strip", "casefold", "collapse_whitespace")
    assert normalized(value, steps) == {" K ": ["a b", 3, {"x": "c"}]}
    assert normalized(value, ()) is value
    assert normalized("Straße", ("casefold",)) == "strasse"


def test_feedback_shows_json_and_says_when_it_was_cut():
    assert shown({"b": "ä", "a": True}) == '{"a": true, "b": "ä"}'
    assert shown("x" * 1000).endswith("(1002 characters)")
    assert len(shown("x" * 1000)) < 400
