from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.prompt_ir import (
    ContextBlock,
    FewShotBlock,
    InstructionBlock,
    OutputFormatBlock,
    RubricBlock,
    SystemBlock,
    ToolPolicyBlock,
)
from dse_cli.contracts.signature import Signature, SignatureSpec

SPEC: dict[str, Any] = {
    "dse": "signature/v1",
    "id": "@acme/support/Route.v1",
    "description": "Choose.",
    "input": {"ticket": "string"},
    "output": {"queue": {"enum": ["a", "b"]}},
    "prompt": [{"instruction": "Choose."}],
}
TOOL = {
    "name": "look_up",
    "description": "Finds it.",
    "input": {"id": "string"},
    "run": "python:tools.look_up",
}


def spec(**changes: Any) -> SignatureSpec:
    return SignatureSpec.model_validate({**SPEC, **changes})


def signature(blobs: dict[str, str] | None = None, **changes: Any) -> Signature:
    return Signature(spec(**changes), blobs or {})


def test_each_block_is_told_by_its_one_key() -> None:
    blocks = spec(
        kind="judge",
        tools=[TOOL],
        prompt=[
            {"system": "You."},
            {"instruction": "Do."},
            {"few_shot": []},
            {"context": [{"key": "k", "value": None}, {"key": "b", "blob": "b.md"}]},
            {"tool_policy": {"allowed": ["look_up"]}},
            {"output_format": "json_schema"},
            {"rubric": "Fair."},
        ],
    ).prompt
    assert [type(block) for block in blocks] == [
        SystemBlock,
        InstructionBlock,
        FewShotBlock,
        ContextBlock,
        ToolPolicyBlock,
        OutputFormatBlock,
        RubricBlock,
    ]


@pytest.mark.parametrize(
    "prompt",
    [
        [],
        [{"system": "You."}],
        [{"instruction": "a"}, {"instruction": "b"}],
        [{"instruction": "a"}, {"few_shot": []}, {"few_shot": []}],
        [{"instruction": "a", "system": "b"}],
        [{"instructions": "a"}],
        [{"instruction": ""}],
        [{"instruction": 7}],
        ["instruction"],
        [{"instruction": "a"}, {}],
        [{"instruction": "a"}, {"output_format": "yaml"}],
        [{"instruction": "a"}, {"rubric": "only judges have one"}],
        [{"instruction": "a"}, {"context": [{"key": "k"}]}],
        [{"instruction": "a"}, {"context": [{"key": "k", "value": 1, "blob": "b"}]}],
        [{"instruction": "a"}, {"context": [{"key": "k", "value": 1, "x": 1}]}],
        [{"instruction": "a"}, {"tool_policy": {"allowed": ["not_declared"]}}],
        [{"instruction": "a"}, {"tool_policy": {"timeout_ms": {"not_declared": 5}}}],
        [{"instruction": "a"}, {"few_shot": [{"id": "x", "input": {}}]}],
    ],
)
def test_a_prompt_that_says_nothing_or_too_much_is_refused(prompt) -> None:
    with pytest.raises(ValidationError):
        spec(prompt=prompt)


@pytest.mark.parametrize(
    "changes",
    [
        {"extra": 1},
        {"dse": "signature/v2"},
        {"id": "acme/support/Route.v1"},
        {"id": "@acme/support/route.v1"},
        {"id": "@acme/support/Route"},
        {"id": "@acme/support/Route.v0"},
        {"input": {}},
        {"output": {}},
        {"description": ""},
        {"defaults": {"parms": {}}},
        {"defaults": {"params": {"instrution": {"text": "x"}}}},
        {"defaults": {"constraints": {"timeout": 1}}},
        {"defaults": {"constraints": {"max_tokens": 0}}},
        {"tools": [{**TOOL, "run": "shell:rm"}]},
        {"tools": [{**TOOL, "unknown": 1}]},
        {"tools": [TOOL, TOOL]},
    ],
)
def test_unknown_keys_and_wrong_values_are_refused(changes) -> None:
    with pytest.raises(ValidationError):
        spec(**changes)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"input": {"ticket": "string", "n": "integer"}}, "input_schema"),
        ({"output": {"queue": {"enum": ["a"]}}}, "output_schema"),
        ({"prompt": [{"instruction": "Choose!"}]}, "prompt_ir"),
        ({"prompt": [{"instruction": "Choose."}, {"few_shot": []}]}, "prompt_ir"),
        ({"prompt": [{"instruction": "Choose."}, {"output_format": "json"}]}, "prompt_ir"),
    ],
)
def test_a_change_of_the_contract_changes_its_hash_and_no_other(changes, part) -> None:
    before, after = signature().contract_hashes, signature(**changes).contract_hashes
    assert {name for name in before if before[name] != after[name]} == {part}


def test_shorthand_and_the_schema_that_it_means_are_one_contract() -> None:
    full = signature().input_schema
    assert signature(input=full).contract_hashes == signature().contract_hashes


def test_the_hash_of_the_prompt_covers_the_text_of_a_blob_and_not_its_path() -> None:
    prompt = [{"instruction": "a"}, {"context": [{"key": "k", "blob": "b.md"}]}]
    one = signature({"b.md": "text"}, prompt=prompt)
    other = signature({"b.md": "other"}, prompt=prompt)
    assert one.contract_hashes["prompt_ir"] != other.contract_hashes["prompt_ir"]
    moved = [{"instruction": "a"}, {"context": [{"key": "k", "blob": "c.md"}]}]
    assert one.contract_hashes == signature({"c.md": "text"}, prompt=moved).contract_hashes
    assert one.prompt_ir["blocks"][1]["context"][0]["blob"]["bytes"] == 4


def test_the_export_holds_the_contract_and_every_hash() -> None:
    exported = signature(tools=[TOOL], defaults={"constraints": {"max_tokens": 9}}).export()
    assert exported["default_constraints"] == {"max_tokens": 9}
    assert exported["tools"] == [TOOL]
    assert set(exported["hashes"]) == {
        "input_schema", "output_schema", "prompt_ir", "default_params", "tools",
    }  # fmt: skip
