from __future__ import annotations

import random
import re
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, field_validator

from dse_cli.contracts.base import Contract, Items
from dse_cli.contracts.dataset import DatasetSpec
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.job import CompileJob
from dse_cli.contracts.project import ProjectSpec
from dse_cli.contracts.signature import SignatureSpec
from dse_cli.project.explain import said
from dse_cli.project.json_document import parse_json, parse_jsonl
from dse_cli.project.pattern_words import pattern_hint
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import parse_yaml

KEY = "sk-" + "a1B2" * 6


def problems(text: str, contract: type[Contract] = ProjectSpec) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        validate(parse_yaml(text, name="f.yaml"), contract)
    return caught.value.diagnostics


def problem(text: str, contract: type[Contract] = ProjectSpec) -> Diagnostic:
    found = problems(text, contract)
    assert len(found) == 1, found
    return found[0]


def project(rest: str) -> str:
    return "dse: project/v1\n" + rest


def place(found: Diagnostic) -> tuple[int, int, str]:
    return found.line, found.column, found.code


def test_a_sound_file_becomes_its_contract() -> None:
    text = project("models:\n  small: {model: openai/x, timeout_s: 5}\ndefault_model: small\n")
    spec = validate(parse_yaml(text, name="dse.yaml"), ProjectSpec)
    assert spec.models["small"].timeout_s == 5.0
    assert spec.default_model == "small"


def test_an_unknown_key_suggests_the_one_that_was_meant() -> None:
    found = problem(project("modles: {}\n"))
    assert place(found) == (2, 1, "unknown-key")
    assert found.message == "unknown key 'modles'"
    assert found.hint == "did you mean 'models'?"
    assert found.source == "modles: {}"


def test_an_unknown_key_with_no_likeness_lists_the_known_ones() -> None:
    found = problem(project("zzz: 1\n"))
    assert found.hint == "known keys: default_model, dse, gate, limits, models"


def test_a_missing_key_points_at_the_mapping_that_lacks_it() -> None:
    found = problem(project("models:\n  small:\n    concurrency: 3\n"))
    assert place(found) == (3, 3, "missing-key")
    assert found.message == "missing key 'model' in 'small'"
    assert found.hint == "add 'model: ...', a text"


def test_a_missing_constant_is_spelled_out() -> None:
    found = problem("default_model: local\n")
    assert (found.code, found.hint) == ("missing-key", "add 'dse: project/v1'")


def test_a_misspelt_required_key_is_one_finding() -> None:
    found = problem(project("models: {a: {modle: x/y}}\n"))
    assert (found.code, found.hint) == ("unknown-key", "did you mean 'model'?")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("fast", "must be a number above 0 and at most 3600, but is the text 'fast'"),
        ("[1]", "must be a number above 0 and at most 3600, but is a list"),
        ("", "must be a number above 0 and at most 3600, but is empty"),
        ("true", "must be a number above 0 and at most 3600, but is true"),
        ("4000", "must be a number above 0 and at most 3600, but is 4000"),
    ],
)
def test_a_wrong_value_names_type_range_and_what_stands_there(value: str, words: str) -> None:
    found = problem(project(f"models:\n  a:\n    model: x/y\n    timeout_s: {value}\n"))
    assert found.line == 5
    assert found.message == f"'timeout_s' {words}"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1_000", "write numbers as in JSON (1000, 0.5, 1e-3) and without quotes"),
        ("'12'", "write numbers as in JSON (1000, 0.5, 1e-3) and without quotes"),
        ("", "give it a value, or remove the key"),
        ("many", None),
    ],
)
def test_a_number_that_is_none_comes_with_advice(value: str, hint: str | None) -> None:
    found = problem(project(f"limits:\n  concurrency: {value}\n"))
    assert (found.code, found.hint) == ("wrong-type", hint)


class Switch(Contract):
    flag: bool = False
    name: str = ""
    mode: Literal["strict", "loose"] = "strict"


@pytest.mark.parametrize(("written", "meant"), [("yes", "true"), ("off", "false")])
def test_yes_and_no_are_texts_and_the_hint_says_so(written: str, meant: str) -> None:
    found = problem(f"flag: {written}\n", Switch)
    assert found.message == f"'flag' must be true or false, but is the text '{written}'"
    assert found.hint == f"write {meant}"


def test_a_number_where_a_text_is_expected_wants_quotes() -> None:
    assert problem("name: 1.5\n", Switch).hint == "put it in quotes"


def test_a_wrong_choice_lists_the_choices_and_suggests_one() -> None:
    found = problem("mode: strcit\n", Switch)
    assert place(found) == (1, 7, "wrong-value")
    assert found.message == "'mode' must be one of 'strict', 'loose', but is the text 'strcit'"
    assert found.hint == "did you mean 'strict'?"


def test_a_wrong_version_suggests_the_right_one() -> None:
    assert problem("dse: project/v2\n").hint == "did you mean 'project/v1'?"


def test_a_key_of_a_wrong_form_is_named_as_a_key() -> None:
    found = problem(project("models:\n  Big: {model: x/y}\n"))
    assert place(found) == (3, 3, "invalid-key")
    assert found.message == "'Big' cannot be a key in 'models'"


def test_a_check_over_a_mapping_points_at_the_key_it_talks_about() -> None:
    found = problem(project("limits: {}\ndefault_model: nope\n"))
    assert place(found) == (3, 1, "invalid-value")
    deeper = problem(project("models:\n  local: {model: x/y}\n"))
    assert place(deeper) == (3, 3, "invalid-value")


def test_empty_files_and_other_types_are_explained() -> None:
    assert problem("").message == "the file is empty, expected a mapping"
    assert problem("- a\n").message == "the file must be a mapping, but is a list"


class Pair(Contract):
    left: int
    right: int


class Named(Contract):
    name: str


class Holder(Contract):
    item: str | Pair | Named
    items: Items[int | Named] = ()


def test_a_union_gives_one_message_with_every_type_when_none_fits() -> None:
    found = problem("item: 5\n", Holder)
    assert found.message == "'item' must be a text or a mapping, but is 5"


def test_a_union_reports_only_the_branch_that_was_meant() -> None:
    found = problem("item: {left: 1, right: x}\n", Holder)
    assert place(found) == (1, 24, "wrong-type")
    assert found.message == "'right' must be a whole number, but is the text 'x'"


def test_a_list_with_wrong_items_is_not_also_called_short() -> None:
    class Some(Contract):
        numbers: Annotated[Items[int], Field(min_length=2)]

    found = problem("numbers: [a, 2]\n", Some)
    assert found.message == "item 1 of 'numbers' must be a whole number, but is the text 'a'"
    short = problem("numbers: [1]\n", Some)
    assert (short.code, short.message) == (
        "out-of-range",
        "'numbers' must be a list of at least 2 items, but is a list",
    )


SIGNATURE = """\
dse: signature/v1
id: "@acme/support/Route.v1"
description: Route it.
input: {ticket: string}
output: {queue: {enum: [a, b]}}
prompt:
  - system: You work here.
  - instruction: Route it.
"""


def test_an_unknown_block_is_one_finding_with_a_suggestion() -> None:
    found = problem(SIGNATURE.replace("- system:", "- sytem:"), SignatureSpec)
    assert place(found) == (7, 5, "unknown-key")
    assert found.message == "unknown key 'sytem' in item 1 of 'prompt'"
    assert found.hint == "did you mean 'system'?"


def test_a_wrong_value_in_a_block_is_one_finding() -> None:
    found = problem(SIGNATURE.replace("You work here.", "[1]"), SignatureSpec)
    assert place(found) == (7, 13, "wrong-type")


def test_a_block_that_is_a_text_lists_the_kinds() -> None:
    found = problem(SIGNATURE.replace("- system: You work here.", "- hello"), SignatureSpec)
    assert (
        found.message
        == "item 1 of 'prompt' must be a mapping with one key, but is the text 'hello'"
    )
    assert found.hint is not None
    assert found.hint.startswith("expected one of: context, few_shot, instruction")


def test_two_kinds_in_one_block_are_told_to_part() -> None:
    text = SIGNATURE.replace("- system: You work here.", "- {system: x, rubric: y}")
    found = problem(text, SignatureSpec)
    assert found.code == "unknown-key"
    assert found.hint == "one key for each item: start a new one with '- rubric:'"


def test_an_unknown_metric_and_an_unknown_knob_are_suggested() -> None:
    text = (
        "dse: compile_job/v1\ndataset: x\nreward: {signals: [{exact_mach: 1}]}\n"
        "models: {main: local}\noptimizer: {id: x}\nbudget: {max_lm_calls: 1}\n"
        "search_space: {knobs: {model.temprature: [1]}}\n"
    )
    assert [found.hint for found in problems(text, CompileJob)] == [
        "did you mean 'exact_match'?",
        "did you mean 'model.temperature'?",
    ]


def test_a_dataset_file_union_names_the_missing_part() -> None:
    text = "dse: dataset/v1\nid: x\nfiles:\n  - {path: a.csv}\nsplit: {field: split}\n"
    found = problem(text, DatasetSpec)
    assert place(found) == (4, 5, "missing-key")
    assert found.message == "missing key 'columns' in item 1 of 'files'"


@pytest.mark.parametrize(
    "secret",
    [KEY, "ghp_" + "a1B2" * 6, "AKIA" + "A1B2" * 4, "hf_" + "a1B2" * 6, "AIza" + "a1B2" * 8],
)
def test_a_secret_is_an_error_that_does_not_repeat_it(secret: str) -> None:
    found = problems(project(f"models:\n  a: {{model: x/y, api_key_env: {secret}}}\n"))
    assert "secret-in-spec" in {p.code for p in found}
    for shown in found:
        assert secret[6:] not in f"{shown.message} {shown.hint} {shown.source}"


def test_a_secret_in_a_comment_is_found() -> None:
    found = problem(project(f"# {KEY}\nlimits: {{}}\n"))
    assert place(found) == (2, 3, "secret-in-spec")
    assert found.source == "# " + "*" * len(KEY)


def test_a_secret_spelled_with_escapes_is_found_and_its_line_hidden() -> None:
    escaped = KEY.replace("a", "\\x61", 1)
    found = problems(project(f'models: {{a: {{model: "x/{escaped}", oops: 1}}}}\n'))
    assert {p.code for p in found} == {"secret-in-spec", "unknown-key"}
    assert {p.source for p in found} == {None}


def test_a_secret_in_a_key_is_found() -> None:
    assert "secret-in-spec" in {p.code for p in problems(project(f"models: {{{KEY}: 1}}\n"))}


def test_the_scan_for_secrets_can_be_off_for_what_a_model_said() -> None:
    document = parse_json(f'{{"name": "{KEY}"}}', name="f.json")
    assert validate(document, Named, scan_secrets=False).name == KEY
    with pytest.raises(SpecError):
        validate(document, Named)


def test_all_problems_come_sorted_by_place() -> None:
    found = problems(project("zzz: 1\nlimits: {max_error_rate: 2}\ngate: 1\nmodels: []\n"))
    assert [p.line for p in found] == [2, 3, 4, 5]


def test_json_files_get_the_same_words() -> None:
    with pytest.raises(SpecError) as caught:
        validate(parse_json('{\n  "left": 1,\n  "rihgt": 2\n}', name="f.json"), Pair)
    (found,) = caught.value.diagnostics
    assert place(found) == (3, 3, "unknown-key")
    assert found.hint == "did you mean 'right'?"


VALID = project(
    """\
models:
  small:
    model: openai/small
    api_base: http://127.0.0.1:1/v1
    api_key_env: SOME_KEY
    concurrency: 4
    timeout_s: 30
  large: {model: openai/large, max_retries: 2}
default_model: small
limits:
  max_error_rate: 0.1
  concurrency: 8
gate: {alpha: 0.05, margin: 0.02}
"""
)
FRAGMENTS = [
    "",
    "x",
    "- a",
    "  y: 1",
    "models:",
    "gate: []",
    "<<: *x",
    "\t",
    "a: b: c",
    "  - 1",
    "}",
]


def mutated(seed: int) -> str:
    rng = random.Random(seed)
    lines = VALID.splitlines()
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(rng.randrange(len(lines)), lines[at])
            case 2:
                lines[at] = rng.choice(FRAGMENTS)
            case 3:
                cut = rng.randrange(len(lines[at]) + 1)
                lines[at] = lines[at][:cut] + rng.choice(":{}[]'\"x7 ") + lines[at][cut:]
            case _:
                lines[at] = lines[at][rng.randrange(len(lines[at]) + 1) :]
        lines = lines or [""]
    return "\n".join(lines)


def test_the_file_that_is_mutated_is_valid() -> None:
    assert validate(parse_yaml(VALID, name="f"), ProjectSpec).default_model == "small"


def attempt(text: str) -> ProjectSpec | tuple[Diagnostic, ...]:
    try:
        return validate(parse_yaml(text, name="f"), ProjectSpec)
    except SpecError as error:
        return error.diagnostics


@settings(max_examples=400, deadline=None)
@given(seed=st.integers(min_value=0, max_value=2**32))
def test_a_mutated_file_is_read_or_refused_with_positions_inside(seed: int) -> None:
    text = mutated(seed)
    lines = text.split("\n")
    found = attempt(text)
    if isinstance(found, ProjectSpec):
        return
    assert found
    for one in found:
        assert 1 <= one.line <= len(lines)
        assert 1 <= one.column <= len(lines[one.line - 1]) + 1
        assert one.source == lines[one.line - 1]
        assert one.message


# --- words for what people write ----------------------------------------------------------------

JOB = """\
dse: compile_job/v1
dataset: d
models: {main: a}
optimizer: {id: authored.v1}
budget: {max_lm_calls: 3}
reward: {signals: [%s]}
"""


def signal(text: str) -> Diagnostic:
    return problem(JOB % text, CompileJob)


def test_an_unknown_metric_is_called_one() -> None:
    found = signal("{exact_mach: 1}")
    assert found.message == "unknown metric 'exact_mach'"
    assert found.hint == "did you mean 'exact_match'?"
    far = signal("{qqqqq: 1}")
    assert far.hint is not None
    assert far.hint.endswith(" more: see docs/metrics.md")
    assert far.hint.count(",") == 5


@pytest.mark.parametrize("word", [".nan", ".inf", "-.inf", "NaN"])
def test_a_weight_that_is_no_number_is_said_to_be_none(word: str) -> None:
    found = signal(f"{{exact_match: {{weight: {word}}}}}")
    assert found.message == f"'weight' is not a number: '{word}'"
    assert found.hint == "write a number such as 0.5"
    assert (
        "is not a number; write a weight such as 0.5" in signal(f"{{exact_match: {word}}}").message
    )


def test_a_pattern_is_shown_as_a_sentence_with_an_example() -> None:
    found = signal("{python: {call: 'metrics:f', weight: 1}}")
    assert found.hint is not None
    assert "for example 'metrics.py:polite'" in found.hint
    key = problem(project("models: {A b: {model: openai/x}}"))
    assert key.hint is not None
    assert "for example 'small'" in key.hint


def patterns(schema: Any) -> set[str]:
    if isinstance(schema, list):
        return set().union(*map(patterns, schema))
    if not isinstance(schema, dict):
        return set()
    own = {schema["pattern"]} if isinstance(schema.get("pattern"), str) else set()
    keys = set(schema.get("patternProperties", {}))
    return own.union(keys, *map(patterns, schema.values()))


@pytest.mark.parametrize("contract", [ProjectSpec, SignatureSpec, DatasetSpec, CompileJob])
def test_every_pattern_of_a_file_that_people_write_has_words(contract: type[Contract]) -> None:
    found = patterns(contract.model_json_schema())
    assert found
    for pattern in found:
        hint = pattern_hint(pattern)
        assert pattern not in hint
        for example in re.findall("for example '([^']*)'", hint):
            assert re.search(pattern, example), (pattern, example)


def test_pydantic_never_puts_its_words_before_ours() -> None:
    class Odd(Contract):
        name: str

        @field_validator("name")
        @classmethod
        def _check(cls, value: str) -> str:
            raise ValueError("too odd")

    with pytest.raises(ValidationError) as refused:
        Odd.model_validate({"name": "x"})
    (error,) = refused.value.errors()
    assert "Value error" in error["msg"]
    assert said(error) == "too odd"
    assert said({**error, "ctx": {}}) == "too odd"


def test_a_line_of_jsonl_ends_with_the_line_and_not_with_the_file() -> None:
    with pytest.raises(SpecError) as refused:
        parse_jsonl('{"a": 1\n{"a": 2}\n', name="rows.jsonl")
    (found,) = refused.value.diagnostics
    assert (found.line, found.message) == (1, "expected ',' or '}', found the end of the line")
    with pytest.raises(SpecError, match="the end of the file"):
        parse_json('{"a": 1', name="x.json")
