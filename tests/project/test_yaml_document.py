from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.project import yaml_composer
from dse_cli.project.yaml_document import MAX_BYTES, YamlDocument, load_yaml, parse_yaml


def problems(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, name="f.yaml")
    return caught.value.diagnostics


def problem(text: str) -> Diagnostic:
    found = problems(text)
    assert len(found) == 1, found
    return found[0]


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def each_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    loader = getattr(yaml, request.param, None)
    if loader is None:
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml_composer, "_LOADER", loader)
    return str(request.param)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("y", "y"),
        ("1_000", "1_000"),
        ("017", "017"),
        ("0o17", "0o17"),
        ("0x1F", "0x1F"),
        ("12:30:45", "12:30:45"),
        ("2024-01-01", "2024-01-01"),
        (".5", ".5"),
        (".inf", ".inf"),
        (".nan", ".nan"),
        ("+1", "+1"),
        ("=", "="),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("-12", -12),
        ("0.5", 0.5),
        ("1e3", 1000.0),
        ("'1'", "1"),
        ('"true"', "true"),
        ("!!str 12", "12"),
        ("! 12", "12"),
        ('"\\u2028"', "\u2028"),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_scalars_mean_what_yaml_1_2_and_json_say(
    written: str, value: object, each_loader: str
) -> None:
    found = parse_yaml(f"key: {written}\n", name="f").value["key"]
    assert found == value
    assert type(found) is type(value)


def test_positions_are_those_of_values_and_keys(each_loader: str) -> None:
    text = "models:\n  small:\n    model: a/b\n    list:\n      - 1\n      - {x: 漢, y: 2}\n"
    document = parse_yaml(text, name="f")
    assert document.position(("models", "small", "model")) == (3, 12)
    assert document.position(("models", "small", "model"), key=True) == (3, 5)
    assert document.position(("models", "small", "list", 1)) == (6, 9)
    assert document.position(("models", "small", "list", 1, "y")) == (6, 19)
    assert document.line_text(3) == "    model: a/b"


def test_a_position_walks_up_to_the_nearest_known_parent() -> None:
    document = parse_yaml("a:\n  b: 1\n", name="f")
    assert document.position(("a", "missing", 3, "deeper")) == document.position(("a",)) == (2, 3)
    assert document.position(()) == (1, 1)


def test_windows_line_ends_count_as_one_line() -> None:
    document = parse_yaml("a: 1\r\nb: 2\r\n", name="f")
    assert document.position(("b",)) == (2, 4)
    assert document.line_text(2) == "b: 2"


def test_a_diagnostic_carries_position_line_and_hint() -> None:
    document = parse_yaml("a:\n  b: 1\n", name="dir/f.yaml")
    found = document.diagnostic(("a", "b"), "some-code", "a message", "a hint", key=True)
    assert found == Diagnostic("dir/f.yaml", 2, 3, "some-code", "a message", "a hint", "  b: 1")


def test_every_duplicate_key_is_reported_with_both_positions(each_loader: str) -> None:
    first, second = problems("a: 1\nb: {c: 1, c: 2}\na: 3\n")
    assert (first.line, first.column, first.code) == (2, 11, "duplicate-key")
    assert first.message == "the key 'c' is given twice, first at line 2, column 5"
    assert (second.line, second.column) == (3, 1)
    assert "first at line 1, column 1" in second.message


def test_keys_that_differ_only_in_quotes_are_duplicates() -> None:
    assert problem('a: 1\n"a": 2\n').code == "duplicate-key"


@pytest.mark.parametrize("tag", ["!!python/object:os.system", "!!int", "!!binary", "!!set", "!own"])
@pytest.mark.parametrize("value", ["x", "[1]", "{a: 1}"])
def test_a_tag_is_refused(tag: str, value: str, each_loader: str) -> None:
    found = problem(f"a: {tag} {value}\n")
    assert (found.code, found.line, found.column) == ("yaml-tag", 1, 4)


def test_an_alias_repeats_its_anchor_without_sharing_it() -> None:
    value = parse_yaml("a: &x [1, 2]\nb: *x\n", name="f").value
    assert value == {"a": [1, 2], "b": [1, 2]}
    assert value["a"] is not value["b"]


def test_a_billion_laughs_is_refused(each_loader: str) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 10):
        refs = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{refs}]")
    assert problem("\n".join(lines)).code == "alias-expansion"


def test_a_recursive_alias_is_refused(each_loader: str) -> None:
    assert problem("a: &x [*x]\n").code == "unknown-alias"


def test_aliases_cannot_nest_deeper_than_the_limit() -> None:
    deep = "[" * 40 + "]" * 40
    nested = "[" * 30 + "*x" + "]" * 30
    assert problem(f"a: &x {deep}\nb: {nested}\n").code == "alias-expansion"


@pytest.mark.parametrize("text", ["[" * 70 + "]" * 70, "[" * 100_000, "{a: " * 70 + "1" + "}" * 70])
def test_deep_nesting_is_refused(text: str) -> None:
    assert problem(text).code == "nested-too-deeply"


def test_nesting_up_to_the_limit_is_read() -> None:
    assert parse_yaml("[" * 64 + "]" * 64, name="f").value != []


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("<<: {a: 1}\n", "merge-key", 1, 1),
        ("a: 1\n---\nb: 2\n", "several-documents", 2, 1),
        ("%YAML 1.1\n---\na: 1\n", "yaml-directive", 1, 1),
        ("%TAG ! tag:x,2000:\n---\na: 1\n", "yaml-directive", 1, 1),
        ("1: a\n", "invalid-key", 1, 1),
        ("true: a\n", "invalid-key", 1, 1),
        ("? [a]\n: b\n", "invalid-key", 1, 3),
        ("a: 9007199254740992\n", "number-too-large", 1, 4),
        ("a: " + "9" * 10_000 + "\n", "number-too-large", 1, 4),
        ("a: 1e999\n", "number-too-large", 1, 4),
        ("a: 1\n\tb: 2\n", "tab-indentation", 2, 1),
        ("a:\n  - x\n \t- y\n", "tab-indentation", 3, 2),
        ("\ufeffa: 1\n", "byte-order-mark", 1, 1),
        ("a: x\0y\n", "nul-character", 1, 5),
        ("a: x\x07y\n", "invalid-character", 1, 5),
        ("a: x\u2028y\n", "invalid-character", 1, 5),
        ("a: x\x85y\n", "invalid-character", 1, 5),
        ("a: x\ud800y\n", "invalid-character", 1, 5),
        ("a: *nope\n", "unknown-alias", 1, 4),
        ("id: @acme/x/Y.v1\n", "yaml-syntax", 1, 5),
        ("a: `x`\n", "yaml-syntax", 1, 4),
        ("a: [1, 2\nb: 3\n", "yaml-syntax", 1, 4),
        ('a: "x\nb: 3\n', "yaml-syntax", 1, 4),
        ("a: b: c\n", "yaml-syntax", 1, 5),
    ],
)
def test_what_is_wrong_is_named_at_its_place(
    text: str, code: str, line: int, column: int, each_loader: str
) -> None:
    found = problems(text)[0]
    assert (found.code, found.line, found.column) == (code, line, column)


def test_an_unquoted_at_sign_is_explained() -> None:
    found = problem("id: @acme/x/Y.v1\n")
    assert found.message == "a text cannot start with '@' without quotes"
    assert found.hint == "put it in quotes"
    assert found.source == "id: @acme/x/Y.v1"


def test_merge_conflict_markers_have_their_own_message() -> None:
    found = problem("a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> branch\n")
    assert (found.code, found.line, found.column) == ("merge-conflict", 2, 1)
    assert found.hint is not None
    assert "=======" in found.hint


def test_an_empty_file_is_a_document_without_a_value() -> None:
    for text in ("", "# only a comment\n", "---\n"):
        assert parse_yaml(text, name="f").value is None


def test_all_problems_of_a_file_come_at_once_and_in_order() -> None:
    found = problems("b: !x 1\na: 1\na: 2\nc: 1e999\n")
    assert [(p.line, p.code) for p in found] == [
        (1, "yaml-tag"),
        (3, "duplicate-key"),
        (4, "number-too-large"),
    ]


def test_a_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes("a: ü\nb: ".encode() + b"\xff\n")
    with pytest.raises(SpecError) as caught:
        load_yaml(path, name="f.yaml")
    (found,) = caught.value.diagnostics
    assert (found.code, found.line, found.column) == ("not-utf8", 2, 4)
    assert found.message == "not UTF-8: byte 0xff at offset 9"


def test_utf16_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes("a: 1\n".encode("utf-16"))
    with pytest.raises(SpecError, match="UTF-16"):
        load_yaml(path, name="f.yaml")


def test_a_file_over_the_size_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(SpecError, match="larger than the limit"):
        load_yaml(path, name="f.yaml")


def test_what_is_not_a_readable_file_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as missing:
        load_yaml(tmp_path / "none.yaml", name="none.yaml")
    with pytest.raises(SpecError) as folder:
        load_yaml(tmp_path, name="folder")
    assert [e.value.diagnostics[0].code for e in (missing, folder)] == [
        "missing-file",
        "not-a-file",
    ]


YAML_LIKE = st.lists(
    st.sampled_from(
        [
            *"ab1-:?,[]{}#&*!|>'\"%@`<=~\\\t\r\n \u2028\x85\0漢😀",
            "\n  ",
            ": ",
            "- ",
            "&a ",
            "*a",
            "!!int ",
            "---\n",
            "...\n",
            "%YAML 1.2\n",
            '"\\uD800"',
            '"\\UFFFFFFFF"',
            "<<: ",
            "key: value\n",
        ]
    ),
    max_size=40,
).map("".join)


def assert_inside(text: str, found: Diagnostic) -> None:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    assert 1 <= found.line <= len(lines)
    assert 1 <= found.column <= len(lines[found.line - 1]) + 1


def attempt(text: str) -> YamlDocument | tuple[Diagnostic, ...]:
    try:
        return parse_yaml(text, name="f")
    except SpecError as error:
        return error.diagnostics


def check_total(text: str) -> None:
    result = attempt(text)
    if isinstance(result, YamlDocument):
        assert isinstance(result.value, dict | list | str | int | float | None)
        return
    assert result
    for found in result:
        assert_inside(text, found)


@settings(max_examples=400, deadline=None)
@given(text=YAML_LIKE)
def test_any_yaml_like_text_parses_or_is_refused_with_positions_inside(text: str) -> None:
    check_total(text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=60))
def test_any_text_parses_or_is_refused_with_positions_inside(text: str) -> None:
    check_total(text)


@settings(max_examples=300, deadline=None)
@given(text=YAML_LIKE)
def test_the_parser_in_python_never_fails_otherwise_either(text: str) -> None:
    kept = yaml_composer._LOADER
    yaml_composer._LOADER = yaml.SafeLoader  # type: ignore[misc]
    try:
        check_total(text)
    finally:
        yaml_composer._LOADER = kept  # type: ignore[misc]
