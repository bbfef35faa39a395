from __future__ import annotations

import pytest
from pydantic import ValidationError

from dse_cli.contracts.metrics.match import JsonSchemaFit
from dse_cli.evaluation.metric_result import MetricError
from tests.evaluation.metrics.scoring import judge

# --- field by field -----------------------------------------------------------------------------


def test_fields_count_by_their_weight():
    fields = {"a": 2, "b.c": 1, "n": {"weight": 1, "abs_tolerance": 0.5}}
    expected = {"a": "x", "b": {"c": True}, "n": 10}
    result = judge("structured", {"a": "x", "b": {"c": 1}, "n": 10.5}, expected, fields=fields)
    assert result.score == 0.75
    assert result.feedback == "b.c: got 1, expected true"
    assert result.metadata == {"wrong": ["b.c"]}


def test_each_field_is_normalised_by_its_own_rule():
    fields = {"a": {"weight": 1, "normalize": ["casefold"]}, "b": 1}
    result = judge("structured", {"a": "X", "b": "X"}, {"a": "x", "b": "x"}, fields=fields)
    assert result.score == 0.5
    assert result.feedback == 'b: got "X", expected "x"'


def test_a_tolerance_on_something_that_is_no_number_is_an_error():
    with pytest.raises(MetricError, match="not a number"):
        judge("structured", {"a": 1}, {"a": "x"}, fields={"a": {"rel_tolerance": 0.1}})


def test_a_row_that_lacks_a_field_is_an_error_and_an_output_that_does_is_wrong():
    with pytest.raises(MetricError, match="'b'"):
        judge("structured", {"a": 1, "b": 1}, {"a": 1}, fields={"a": 1, "b": 1})
    assert judge("structured", {"a": 1}, {"a": 1, "b": 1}, fields={"a": 1, "b": 1}).score == 0.5


# --- JSON Schema --------------------------------------------------------------------------------

PERSON = {"type": "object", "required": ["name"], "properties": {"age": {"type": "integer"}}}


def test_an_output_that_fits_a_schema_scores_1_and_else_every_reason_is_listed():
    assert judge("json_schema", {"name": "a"}, {}, schema=PERSON).score == 1
    result = judge("json_schema", {"age": "x"}, {}, schema=PERSON)
    assert result.score == 0
    assert result.feedback == (
        'output.age: "x" is not of type "integer"; output: "name" is a required property'
    )


def test_a_text_field_may_hold_the_json():
    settings = {"field": "text", "parse": True, "schema": PERSON}
    assert judge("json_schema", {"text": '{"name": "a"}'}, {}, **settings).score == 1
    for text in (
        "{",
        "NaN",
        '{"age": 1}',
        "[" * 100_000,
        "[" * 300 + "]" * 300,
        '"\\ud800"',
        "1e999",
    ):
        assert judge("json_schema", {"text": text}, {}, **settings).score == 0
    assert "which is not JSON" in judge("json_schema", {"text": "{"}, {}, **settings).feedback
    assert judge("json_schema", {"text": {"name": "a"}}, {}, **settings).score == 0
    assert judge("json_schema", {}, {}, **settings).score == 0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"schema": {"tpye": "object"}}, "not a JSON Schema keyword"),
        ({"schema": {"type": "objct"}}, "schema.type"),
        ({"schema": {}, "parse": True}, "parse needs a field"),
    ],
)
def test_a_wrong_schema_is_refused(settings, why):
    with pytest.raises(ValidationError, match=why):
        JsonSchemaFit.model_validate({"weight": 1, **settings})


# --- evidence -----------------------------------------------------------------------------------

DOCUMENTS = {"a": "The sky is blue.", "b": "Grass is green."}
LISTED = [{"id": name, "text": text} for name, text in DOCUMENTS.items()]
CITED = {"quote": "e.quote", "cites": "e.id", "sources": "docs"}


def quoting(quote: object, name: object = "a") -> dict[str, object]:
    return {"e": {"quote": quote, "id": name}}


@pytest.mark.parametrize("sources", [DOCUMENTS, LISTED])
def test_a_quote_must_stand_letter_by_letter_in_the_source_that_it_cites(sources):
    def result(output):
        return judge("evidence", output, {}, {"docs": sources}, **CITED)

    assert result(quoting("sky is blue"))[:2] == (1, "")
    assert result(quoting("green", "b")).score == 1
    assert result(quoting("Sky is blue")).score == 0
    assert result(quoting("Sky is blue")).feedback == (
        'e.quote: got "Sky is blue", which does not stand letter by letter in the cited source '
        '"a", nor in any other source'
    )


def test_a_quote_from_another_source_says_from_which():
    result = judge("evidence", quoting("green"), {}, {"docs": DOCUMENTS}, **CITED)
    assert result.score == 0
    assert result.feedback.endswith('in the cited source "a", but in "b"; expected e.id to name it')


@pytest.mark.parametrize("name", ["c", None, 1])
def test_a_source_that_does_not_exist_is_answered_with_those_that_do(name):
    result = judge("evidence", quoting("sky", name), {}, {"docs": DOCUMENTS}, **CITED)
    assert result.score == 0
    assert result.feedback.endswith('expected the id of a source: "a", "b"')


@pytest.mark.parametrize("quote", ["", "  "])
def test_an_empty_quote_proves_nothing_unless_it_may(quote):
    given = {"docs": DOCUMENTS}
    assert judge("evidence", quoting(quote), {}, given, **CITED).score == 0
    assert judge("evidence", quoting(quote), {}, given, **CITED, allow_empty=True).score == 1


def test_a_single_text_needs_no_id():
    settings = {"quote": "q", "sources": "text"}
    assert judge("evidence", {"q": "b"}, {}, {"text": "abc"}, **settings).score == 1
    assert judge("evidence", {"q": "x"}, {}, {"text": "abc"}, **settings).feedback == (
        'q: got "x", which does not stand letter by letter in input.text'
    )


@pytest.mark.parametrize(
    ("given", "settings"),
    [
        ({}, CITED),
        ({"docs": 3}, CITED),
        ({"docs": {}}, CITED),
        ({"docs": "text"}, CITED),
        ({"docs": {"a": 1}}, CITED),
        ({"docs": [{"id": "a"}]}, CITED),
        ({"docs": [*LISTED, LISTED[0]]}, CITED),
        ({"docs": DOCUMENTS}, {"quote": "e.quote", "sources": "docs"}),
    ],
)
def test_sources_that_leave_open_what_is_cited_are_an_error(given, settings):
    with pytest.raises(MetricError, match=r"input|sources"):
        judge("evidence", quoting("sky"), {}, given, **settings)
