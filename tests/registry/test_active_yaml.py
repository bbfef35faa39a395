"""``active.yaml``: read back exactly, and a change of one word is a diff of one line."""

from __future__ import annotations

from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.canonical import canonical_bytes
from dse_cli.contracts.history import ActivePointer
from dse_cli.contracts.params import Params
from dse_cli.project.yaml_document import parse_yaml
from dse_cli.registry.active_yaml import render_active
from dse_cli.registry.yaml_scalars import scalar_text

HASH = "sha256:" + "ab" * 32
GOLDEN = Path(__file__).parent / "golden" / "active.yaml"

ANY = st.characters(exclude_categories=["Cs"])
#: Texts that look like something else to one YAML reader or another, or sit at a border of a block.
TRICKY = st.sampled_from(
    ["yes", "No", "on", "null", "~", "true", "y", "N", "1", "0x1f", "1_000", "1e5", "1.0", ".5",
     ".inf", "-.inf", ".NaN", "2024-01-01", "12:30:45", "017", "0o17", "<<", "=", "- a", "a: b",
     "a:", "a #b", "#a", "*a", "&a", "!a", "!!str a", "%a", "@a", "`a", "{a", "[a", "---", "...",
     "? a", ": a", '"a', "'a", "", "| a", "> a", "<<<<<<< ours", "a\tb", "\\", "\\n"]
)  # fmt: skip
PIECES = st.sampled_from(
    ["\n", "\n\n", " ", "  ", "\t", "\r", "\x85", "\u2028", "\ufeff", "\u202e", "\xa0", "\x00",
     "\U000e0041", "a", "- b", "c: d", "# e", "---", "...", "é", "\U0001f600", "\\", '"', "'", "%"]
)  # fmt: skip
TEXT = st.text(ANY) | TRICKY | st.lists(PIECES, max_size=8).map("".join)
DATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(TEXT, DATA, max_size=4)
DEMOS = st.builds(
    lambda id, input, output: {"id": id, "input": input, "output": output, "source": "train"},
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,20}", fullmatch=True),
    OBJECTS,
    OBJECTS,
)
POLICIES = st.fixed_dictionaries(
    {},
    optional={
        "instruction": st.fixed_dictionaries({"text": TEXT.filter(bool)}),
        "few_shot": st.fixed_dictionaries({"examples": st.lists(DEMOS, max_size=3)}),
        "model": st.fixed_dictionaries(
            {"model": TEXT, "temperature": st.floats(0, 2), "top_p": st.none()}
        ),
        "budgets": st.fixed_dictionaries({"max_cost_usd": st.floats(0, 1e300)}),
    },
)


def pointer(policy: dict[str, Any]) -> ActivePointer:
    return ActivePointer.model_validate(
        {
            "dse": "active/v1",
            "signature_id": "@acme/support/RouteTicket.v1",
            "compiled_id": HASH,
            "artifact": f"compiled/{'ab' * 6}-{'cd' * 6}.json",
            "artifact_digest": HASH,
            "policy": policy,
        }
    )


def render(policy: dict[str, Any]) -> str:
    return render_active(pointer(policy), name="route-ticket")


@settings(deadline=None, max_examples=60)
@given(POLICIES)
def test_the_projects_reader_gives_back_the_params_exactly(policy: dict[str, Any]) -> None:
    params = Params.model_validate(policy).to_json()
    value = parse_yaml(render(params), name="active.yaml").value
    assert canonical_bytes(value["policy"]) == canonical_bytes(params)
    assert canonical_bytes(value) == canonical_bytes(pointer(params).to_json())


@settings(deadline=None, max_examples=60)
@given(POLICIES)
def test_a_yaml_1_1_reader_gives_back_the_params_exactly(policy: dict[str, Any]) -> None:
    params = Params.model_validate(policy).to_json()
    value = yaml.safe_load(render(params))
    assert canonical_bytes(value["policy"]) == canonical_bytes(params)


@settings(deadline=None, max_examples=60)
@given(POLICIES)
def test_nothing_in_the_file_is_invisible(policy: dict[str, Any]) -> None:
    written = render(policy)
    unseen = set("\x00\r\x85\xa0\u200b\u202e\u2028\ufeff\U000e0041")
    assert not unseen & set(written)
    assert not any(line != line.rstrip(" \t") for line in written.split("\n"))


def test_the_file_reads_as_the_golden_file() -> None:
    policy = {
        "model": {"temperature": 0.0, "model": "openai/small", "max_tokens": 64},
        "instruction": {"text": "Choose the queue.\n\n  - billing: money\n  - other\n"},
        "few_shot": {
            "examples": [
                {
                    "source": "train",
                    "id": "ex-1",
                    "output": {"queue": "billing"},
                    "input": {
                        "ticket": "Hello,\nrefund \nplease",
                        "lang": "no",
                        "n": [1, [2, 3], []],
                    },
                },
                {"id": "12", "input": {"ticket": "Not \u202eseen"}, "output": {}},
            ]
        },
        "budgets": {"max_cost_usd": 1e-7},
    }
    assert render(policy) == GOLDEN.read_text(encoding="utf-8")


def changed_lines(before: str, after: str) -> list[str]:
    lines = unified_diff(before.split("\n"), after.split("\n"), n=0, lineterm="")
    return [line for line in list(lines)[2:] if not line.startswith("@@")]


@pytest.mark.parametrize("tail", ["", "\n", "\n\n", "\nodd\u202e space \n", " "])
def test_a_change_of_one_word_is_a_diff_of_one_line(tail: str) -> None:
    def policy(word: str) -> dict[str, Any]:
        return {"instruction": {"text": f"You sort tickets.\nBe {word}.\nAnswer.{tail}"}}

    changed = changed_lines(render(policy("brief")), render(policy("exact")))
    assert [line[0] for line in changed] == ["-", "+"]
    assert "Be brief." in changed[0]
    assert "Be exact." in changed[1]


def test_the_order_of_keys_in_memory_does_not_change_the_bytes() -> None:
    one = {"model": {"model": "m", "top_p": 0.5}, "instruction": {"text": "x"}}
    other = {"instruction": {"text": "x"}, "model": {"top_p": 0.5, "model": "m"}}
    assert render(one) == render(other)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("billing", "billing"),
        ("where is it?", "where is it?"),
        ("Größe, 東京", "Größe, 東京"),
        ("yes", '"yes"'),
        ("Null", '"Null"'),
        ("2024-01-01", '"2024-01-01"'),
        ("a: b", '"a: b"'),
        ("", '""'),
        ("zero\u200bwidth", '"zero\\u200bwidth"'),
        (1.0, "1"),
        (1e-7, "1.0e-7"),
        (1e20, "1.0e+20"),
        (True, "true"),
        (None, "null"),
    ],
)
def test_scalars_are_quoted_only_where_a_reader_could_err(value: Any, written: str) -> None:
    assert scalar_text(value) == written
