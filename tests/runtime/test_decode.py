from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.canonical import canonical_bytes
from dse_cli.contracts.params import DecodeMode
from dse_cli.contracts.schema import DEEPEST, Checker, expand
from dse_cli.runtime.decode import PROBLEM_CHARS, Decoded, DecodeFailure, decode

QUEUE = Checker(expand({"queue": {"enum": ["billing", "other"]}}))
BOOKING = Checker(
    expand(
        {
            "name": "string",
            "when": {
                "type": "object",
                "properties": {"day": {"type": "string"}, "hour": {"type": "integer"}},
                "required": ["day", "hour"],
                "additionalProperties": False,
            },
            "items": {"type": "array", "items": {"type": "object", "required": ["n"]}},
        }
    )
)
ANYTHING = Checker({"type": "object"})
BILLING = {"queue": "billing"}

# text, value when mended (None: a failure), value when strict
TEXTS = [
    ('{"queue":"billing"}', BILLING, BILLING),
    (' \n{"queue": "billing"}\n', BILLING, BILLING),
    ('```json\n{"queue":"billing"}\n```', BILLING, None),
    ('```\n{"queue":"billing"}\n```\n', BILLING, None),
    ('```json\n{"queue":"billing"}', BILLING, None),
    ('Sure, here it is:\n```json\n{"queue":"billing"}\n```\nAnything else?', BILLING, None),
    ('The answer is {"queue":"billing"}.', BILLING, None),
    ('{"queue":"billing"} because they were charged', BILLING, None),
    ("{'queue': 'billing'}", BILLING, None),
    ("{queue: billing}", BILLING, None),
    ('{"queue":"billing",}', BILLING, None),
    ('{"queue":"billing"', BILLING, None),
    ('{"queue":"billing', BILLING, None),
    ('I take {this} to mean {"queue":"billing"}', BILLING, None),
    ('{"queue":"billing"}\n{"queue":"billing"}', BILLING, None),
    # Two answers, or none: asked again, never guessed.
    ('{"queue":"billing"} or {"queue":"other"}', None, None),
    ('{"queue":"other"} would be wrong, so {"queue":"billing"}', None, None),
    ('{"queue":"billing","queue":"other"}', None, None),
    ('My answer: {"queue":"billing","queue":"other"}', None, None),
    ('[{"queue":"billing"}]', None, None),
    ('"billing"', None, None),
    ("billing", None, None),
    ("null", None, None),
    ("", None, None),
    ("{}", None, None),
    ("{", None, None),
    ('{"queue": NaN}', None, None),
    ('{"queue": Infinity}', None, None),
    ('{"queue":"Billing"}', None, None),
    ('{"queue":"billing","why":"x"}', None, None),
]


@pytest.mark.parametrize(("text", "mended", "strict"), TEXTS)
@pytest.mark.parametrize("mode", ["jsonish", "strict_json", "native_schema"])
def test_what_each_mode_makes_of_a_text(text, mended, strict, mode) -> None:
    found = decode(text, mode, QUEUE)
    expected = mended if mode == "jsonish" else strict
    if expected is None:
        assert isinstance(found, DecodeFailure)
        assert found.message
    else:
        assert found == Decoded(expected)


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ('{"queue":"sales"}', "queue", '"sales" is not one of'),
        ("{}", None, '"queue" is a required property'),
        ('{"queue":"other","x":1}', None, "'x'"),
    ],
)
def test_a_failure_names_the_field_and_why(text, field, words) -> None:
    found = decode(text, "strict_json", QUEUE)
    assert isinstance(found, DecodeFailure)
    assert found.field == field
    assert words.strip("'") in found.message


def test_a_nested_failure_names_the_path_of_the_field() -> None:
    value = {"name": "a", "when": {"day": "Mon", "hour": "nine"}, "items": [{"n": 1}, {}]}
    found = decode(json.dumps(value), "strict_json", BOOKING)
    assert isinstance(found, DecodeFailure)
    assert found.message.splitlines() == [
        'items.1: "n" is a required property',
        'when.hour: "nine" is not of type "integer"',
    ]
    assert found.field == "items.1"


@pytest.mark.parametrize(
    "text",
    ['{"n": 1e999}', '{"n": 9007199254740993}', '{"n": "\\ud800"}', '{"\\udfff": 1}'],
)
@pytest.mark.parametrize("mode", ["jsonish", "strict_json"])
def test_a_value_without_an_exact_form_is_a_failure_and_not_a_crash(text, mode) -> None:
    found = decode(text, mode, ANYTHING)
    assert isinstance(found, DecodeFailure)
    assert "exact JSON form" in found.message


@pytest.mark.parametrize("text", ["[" * 50_000, '{"a":' * 50_000, "{" * 50_000, "{}" * 2_000])
@pytest.mark.parametrize("mode", ["jsonish", "strict_json"])
def test_a_text_nested_beyond_reason_is_a_failure_and_not_a_crash(text, mode) -> None:
    assert isinstance(decode(text, mode, QUEUE), DecodeFailure)


def test_what_a_model_is_told_is_bounded_and_says_that_it_was_cut() -> None:
    value = {f"field_{index}": "x" * 500 for index in range(150)}
    found = decode(json.dumps(value), "strict_json", QUEUE)
    assert isinstance(found, DecodeFailure)
    assert PROBLEM_CHARS < len(found.message) <= PROBLEM_CHARS + 30
    assert found.message.endswith("more)")


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('{}[]":,\\'), max_size=60),
    st.sampled_from(["jsonish", "strict_json", "native_schema"]),
)
def test_no_text_makes_it_fail_and_what_decodes_fits_and_can_be_hashed(text, mode) -> None:
    found = decode(text, mode, ANYTHING)
    if isinstance(found, Decoded):
        assert ANYTHING.fits(found.value)
        assert canonical_bytes(found.value)
    else:
        assert found.message


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    st.dictionaries(st.text('ab"{}\\\n', max_size=4), st.text('x{}"\\\n', max_size=6), max_size=3),
    st.text("abc \n.", max_size=10),
)
def test_an_object_in_prose_is_found_as_it_stands(value, prose) -> None:
    text = f"{prose}{json.dumps(value)}{prose}"
    assert decode(text, "jsonish", ANYTHING) == Decoded(value)


@pytest.mark.parametrize("mode", ["strict_json", "jsonish"])
@pytest.mark.parametrize("levels", [DEEPEST, 260, 900])
def test_an_answer_nested_beyond_reason_does_not_decode_and_breaks_nothing(
    levels: int, mode: DecodeMode
) -> None:
    # The validator cannot quote it and metrics could not walk it: once it ended the whole run.
    text = '{"a": ' + "[" * levels + "]" * levels + "}"
    for schema in ({"type": "string"}, {"type": "array"}):
        found = decode(text, mode, Checker({"type": "object", "properties": {"a": schema}}))
        assert isinstance(found, DecodeFailure)
        assert "nested more than 128 levels deep" in found.message
    flat = '{"a": ' + "[" * (DEEPEST - 2) + "]" * (DEEPEST - 2) + "}"
    assert isinstance(decode(flat, mode, Checker({"type": "object"})), Decoded)
