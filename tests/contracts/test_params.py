from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from dse_cli.contracts.params import Params, merge

calm = settings(deadline=None, max_examples=50, derandomize=True)

# Mappings and leaves never stand under one name: the contract fixes which is which.
leaves = st.none() | st.integers(0, 3) | st.text("ab", max_size=2) | st.lists(st.integers(0, 2))
trees = st.recursive(
    st.dictionaries(st.sampled_from(["x", "y"]), leaves, max_size=2),
    lambda inner: st.fixed_dictionaries({}, optional={"m": inner, "n": inner, "x": leaves}),
    max_leaves=6,
)


@calm
@given(trees)
def test_an_empty_patch_changes_nothing_and_a_patch_on_nothing_is_the_patch(tree) -> None:
    assert merge(tree, {}) == tree
    assert merge({}, tree) == tree


@calm
@given(trees)
def test_merging_is_idempotent(tree) -> None:
    assert merge(tree, tree) == tree


@calm
@given(trees, trees, trees)
def test_merging_is_associative(a, b, c) -> None:
    assert merge(merge(a, b), c) == merge(a, merge(b, c))


@calm
@given(trees, trees)
def test_the_patch_wins_and_neither_side_is_changed(base, patch) -> None:
    before = (repr(base), repr(patch))
    merged = merge(base, patch)
    assert (repr(base), repr(patch)) == before
    assert merge(merged, patch) == merged
    assert set(merged) == set(base) | set(patch)


def test_lists_are_replaced_whole_and_never_mixed() -> None:
    base = {"few_shot": {"examples": [{"id": "a"}, {"id": "b"}]}}
    assert merge(base, {"few_shot": {"examples": []}}) == {"few_shot": {"examples": []}}


GOOD: list[dict[str, Any]] = [
    {},
    {"instruction": {"text": "Go."}},
    {"few_shot": {"examples": []}},
    {"model": {"model": "openai/x", "temperature": 0, "top_p": 1, "max_tokens": 5}},
    {"model_roles": {"repair": {"temperature": None}}},
    {"decode": {"mode": "native_schema", "max_repairs": 0}},
    {"render": {"demos": "section"}},
    {"budgets": {"max_lm_calls": 0, "max_cost_usd": 0}},
    {"strategy": {"id": "direct.v1"}},
]


@pytest.mark.parametrize("value", GOOD)
def test_params_come_back_as_they_were_written(value) -> None:
    assert Params.model_validate(value).to_json() == value


@pytest.mark.parametrize(
    "value",
    [
        {"instructions": {"text": "Go."}},
        {"instruction": {"text": ""}},
        {"instruction": {"txt": "Go."}},
        {"few_shot": {"examples": [{"id": "a", "input": {}, "output": {}, "why": ""}]}},
        {"few_shot": {"examples": [{"id": "a", "input": [], "output": {}}]}},
        {"few_shot": {"examples": [{"id": "", "input": {}, "output": {}}]}},
        {"model": {"temperature": 3}},
        {"model": {"temperature": True}},
        {"model": {"top_p": 0}},
        {"model": {"max_tokens": 0}},
        {"model": {"max_tokens": 1.5}},
        {"model": {"api_key": "x"}},
        {"model_roles": {"judge": {}}},
        {"decode": {"mode": "yaml"}},
        {"decode": {"max_repairs": 6}},
        {"strategy": {"id": "rlm.v1"}},
        {"budgets": {"max_time_ms": 0}},
        {"budgets": {"max_tool_calls": 1}},
        {"render": {"demos": "turns", "order": "reverse"}},
    ],
)
def test_what_has_no_effect_or_no_sense_is_refused(value) -> None:
    with pytest.raises(ValidationError):
        Params.model_validate(value)


def test_nulls_in_the_payload_of_a_demo_are_kept() -> None:
    demo = {"id": "a", "input": {"x": None}, "output": {"y": [None]}, "source": "train"}
    assert Params.model_validate({"few_shot": {"examples": [demo]}}).to_json() == {
        "few_shot": {"examples": [demo]}
    }


def test_params_are_frozen() -> None:
    params = Params.model_validate({"instruction": {"text": "Go."}})
    with pytest.raises(ValidationError):
        params.instruction = None  # type: ignore[misc]
