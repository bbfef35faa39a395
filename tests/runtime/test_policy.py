from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.params import Params
from dse_cli.runtime.policy import Policy, authored_policy
from tests.runtime.policies import MODEL, make_policy, make_signature

DEMO = {"id": "a", "input": {"ticket": "x"}, "output": {"queue": "other"}}

#: Everything that decides behaviour, changed one at a time.
DECIDING: list[dict[str, Any]] = [
    {"instruction": {"text": "Choose well."}},
    {"few_shot": {"examples": []}},
    {"few_shot": {"examples": [DEMO]}},
    {"few_shot": {"examples": [{**DEMO, "input": {"ticket": "y"}}]}},
    {"few_shot": {"examples": [{**DEMO, "output": {"queue": "billing"}}]}},
    {"few_shot": {"examples": [DEMO, {**DEMO, "id": "b"}]}},
    {"few_shot": {"examples": [{**DEMO, "id": "b"}, DEMO]}},
    {"model": {"model": "openai/other"}},
    {"model": {"temperature": 0.5}},
    {"model": {"top_p": 0.5}},
    {"model": {"max_tokens": 7}},
    {"model_roles": {"repair": {"model": "openai/other"}}},
    {"model_roles": {"main": {"model": "openai/other"}}},
    {"decode": {"mode": "strict_json"}},
    {"decode": {"max_repairs": 0}},
    {"render": {"demos": "section"}},
    {"budgets": {"max_lm_calls": 1}},
    {"budgets": {"max_tokens": 100}},
    {"budgets": {"max_time_ms": 100}},
    {"budgets": {"max_output_chars": 100}},
    {"budgets": {"max_cost_usd": 0.5}},
]


def test_everything_that_decides_behaviour_gives_a_policy_an_id_of_its_own() -> None:
    ids = [make_policy().id, *(make_policy(patch).id for patch in DECIDING)]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "@acme/support/Route.v2"},
        {"input": {"ticket": "string", "n": {"type": "integer", "optional": True}}},
        {"output": {"queue": {"enum": ["billing", "other", "third"]}}},
        {"prompt": [{"instruction": "Choose."}]},
        {"defaults": {"constraints": {"max_tokens": 24}}},
        {"defaults": {"params": {"decode": {"max_repairs": 3}}}},
    ],
)
def test_a_change_of_the_signature_that_decides_behaviour_changes_the_id(changes) -> None:
    assert make_policy(**changes).id != make_policy().id


@pytest.mark.parametrize(
    "patch",
    [
        {},
        {"model": {"temperature": 0}},
        {"model": {"top_p": None}},
        {"budgets": {}},
        {"budgets": {"max_tokens": None}},
        {"model_roles": {}},
        {"model_roles": {"repair": {}}},
        {"few_shot": None},
        {"decode": {"mode": "jsonish", "max_repairs": 1, "repair_strategy": "reask"}},
    ],
)
def test_what_decides_nothing_does_not_change_the_id(patch) -> None:
    assert make_policy(patch).id == make_policy().id


def test_the_description_of_a_signature_is_not_part_of_a_policy() -> None:
    assert make_policy(description="Other words.").id == make_policy().id


def test_a_null_takes_back_a_default() -> None:
    policy = make_policy({"model": {"temperature": None}})
    assert policy.sampling().temperature is None
    assert policy.id != make_policy().id
    assert make_policy(defaults={"params": {"model": {"temperature": None}}}).id == policy.id


def test_a_null_in_a_role_takes_back_what_the_model_says() -> None:
    policy = make_policy({"model_roles": {"repair": {"temperature": None}}})
    assert policy.sampling("repair").temperature is None
    assert policy.sampling("main").temperature == 0.0


def test_no_demos_is_not_the_same_as_demos_as_authored() -> None:
    prompt = [{"instruction": "Go."}, {"few_shot": [DEMO]}]
    authored, zero = make_policy(prompt=prompt), make_policy(
        {"few_shot": {"examples": []}}, prompt=prompt
    )  # fmt: skip
    assert [demo.id for demo in authored.demos] == ["a"]
    assert zero.demos == ()
    assert authored.id != zero.id


def test_the_token_cap_of_the_signature_is_written_into_the_policy() -> None:
    capped = {"defaults": {"constraints": {"max_tokens": 24}}}
    assert make_policy(**capped).params.to_json()["model"]["max_tokens"] == 24
    for asked, sent in ((8, 8), (24, 24), (99, 24)):
        policy = make_policy({"model": {"max_tokens": asked}}, **capped)
        assert policy.params.to_json()["model"]["max_tokens"] == sent
        assert policy.sampling().max_tokens == sent
    roles = make_policy({"model_roles": {"repair": {"max_tokens": 99}}}, **capped)
    assert roles.sampling("repair").max_tokens == 24


def test_a_cap_that_is_lowered_later_still_holds() -> None:
    old = make_policy(defaults={"constraints": {"max_tokens": 24}})
    now = make_signature(defaults={"constraints": {"max_tokens": 10}})
    assert Policy(now, old.params).sampling().max_tokens == 10


def test_defaults_are_written_out_so_that_later_defaults_change_no_old_policy() -> None:
    params = make_policy().params.to_json()
    assert params == {
        "decode": {"mode": "jsonish", "max_repairs": 1, "repair_strategy": "reask"},
        "model": {"model": MODEL, "temperature": 0.0},
        "render": {"demos": "turns"},
        "strategy": {"id": "direct.v1"},
    }
    assert Params.model_validate(params).to_json() == params


def test_a_signature_that_pins_a_model_keeps_it() -> None:
    pinned = make_signature(defaults={"params": {"model": {"model": "openai/pinned"}}})
    assert authored_policy(pinned, model="openai/other").model().model == "openai/pinned"


def test_a_role_overrides_the_model_field_by_field() -> None:
    signature = make_signature(defaults={"params": {"model": {"temperature": 0.7}}})
    policy = authored_policy(signature, model="openai/a", repair_model="openai/b")
    assert policy.model("repair").to_json() == {"temperature": 0.7, "model": "openai/b"}
    assert policy.model("main").to_json() == {"temperature": 0.7, "model": "openai/a"}


def test_patching_never_changes_the_policy_that_is_patched() -> None:
    policy = make_policy()
    before = (policy.id, policy.params.to_json())
    policy.patched({"model": {"temperature": 1.0}, "few_shot": {"examples": [DEMO]}})
    assert (policy.id, policy.params.to_json()) == before


@pytest.mark.parametrize("patch", [{"model": {"temperature": 9}}, {"modl": {}}, {"model": 7}])
def test_a_patch_that_is_no_params_is_refused(patch) -> None:
    with pytest.raises(ValidationError):
        make_policy(patch)
