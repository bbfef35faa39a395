from __future__ import annotations

import math
import struct
from enum import Enum
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dse_cli.canonical import NotCanonicalError, canonical_bytes

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
ANY_INT = st.integers(-(2**54), 2**54) | st.integers(2**53 - 3, 2**53 + 3)
ANY_FLOAT = st.floats() | st.integers(0, 2**64 - 1).map(
    lambda bits: struct.unpack(">d", bits.to_bytes(8, "big"))[0]
)
ANY_VALUE = st.recursive(
    st.none() | st.booleans() | ANY_INT | ANY_FLOAT | ANY_TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(ANY_TEXT, inner, max_size=4)
    ),
    max_leaves=20,
)


class Word(str, Enum):  # noqa: UP042 - str() of it must not be what is written
    A = "a"


class Loud(int):
    def __repr__(self) -> str:
        return "LOUD"

    __str__ = __repr__


def reference(value: Any) -> bytes | None:
    """What the reference implementation makes of a value; None when it refuses it."""
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError):
        return None


def ours(value: Any) -> bytes | None:
    try:
        return canonical_bytes(value)
    except NotCanonicalError:
        return None


@settings(max_examples=600, deadline=None)
@given(ANY_VALUE)
def test_every_json_value_has_the_bytes_of_the_reference_implementation(value: Any) -> None:
    assert ours(value) == reference(value)


@settings(max_examples=600, deadline=None)
@given(ANY_FLOAT)
@example(-0.0)
@example(1e-4)
@example(math.nextafter(1e-4, 0))
@example(2.0**53)
@example(2.0**53 - 1)
@example(1e21)
@example(5e-324)
def test_every_double_has_the_bytes_of_the_reference_implementation(value: float) -> None:
    assert ours(value) == reference(value)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(ANY_TEXT, st.integers(0, 9), max_size=8))
@example({"\U00010000": 1, "\uffff": 2, "\ue000": 3, "é": 4, "e": 5})
def test_keys_are_sorted_as_the_reference_implementation_sorts_them(value: dict[str, int]) -> None:
    assert ours(value) == reference(value)


@pytest.mark.parametrize("code", [*range(0x100), 0x2028, 0xD7FF, 0xE000, 0xFFFF, 0x1F600])
def test_every_character_is_spelled_as_the_reference_implementation_spells_it(code: int) -> None:
    value = {f"k{chr(code)}": f"v{chr(code)}"}
    assert canonical_bytes(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        ({"b": 0.0, "a": 1.5}, b'{"a":1.5,"b":0}'),
        ([True, False, None, 1, -1], b"[true,false,null,1,-1]"),
        ((1, "x"), b'[1,"x"]'),
        ([Word.A, Loud(7)], b'["a",7]'),
        ({}, b"{}"),
        ([], b"[]"),
    ],
)
def test_plain_and_odd_types_are_spelled_by_value(value: Any, spelled: bytes) -> None:
    assert canonical_bytes(value) == spelled == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        -math.inf,
        2**53,
        -(2**53),
        "\ud800",
        {"\udfff": 1},
        {1: "x"},
        {1: "x", "y": 2},
        {"a": {None: 1}},
        [b"x"],
        {"a": {1, 2}},
        object(),
    ],
)
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(NotCanonicalError):
        canonical_bytes(value)


def test_a_value_nested_too_deeply_is_refused_and_a_deep_one_is_not() -> None:
    deep: Any = []
    for _ in range(400):
        deep = [deep]
    assert canonical_bytes(deep) == b"[" * 401 + b"]" * 401
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(NotCanonicalError):
        canonical_bytes(deep)
