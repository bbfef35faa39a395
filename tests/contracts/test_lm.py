from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dse_cli.contracts.lm import LmRequest, LmResponse, Message, ModelIdentity, Sampling, Usage

PARTS: dict[str, Any] = {
    "identity": ModelIdentity("openai/a", "http://h/v1", None),
    "messages": (Message("system", "s"), Message("user", "u")),
    "sampling": Sampling(0.0, 0.5, 10, 1),
    "response_schema": {"type": "object"},
    "rollout": 0,
}


def request(**changes: Any) -> LmRequest:
    return LmRequest(**{**PARTS, **changes})


CHANGES: list[dict[str, Any]] = [
    {"identity": ModelIdentity("openai/b", "http://h/v1", None)},
    {"identity": ModelIdentity("openai/a", "http://other/v1", None)},
    {"identity": ModelIdentity("openai/a", "http://h/v1", "sha256:" + "0" * 64)},
    {"messages": (Message("system", "s"), Message("user", "v"))},
    {"messages": (Message("user", "s"), Message("user", "u"))},
    {"messages": (Message("user", "u"), Message("system", "s"))},
    {"messages": (Message("system", "s"),)},
    {"sampling": Sampling(0.1, 0.5, 10, 1)},
    {"sampling": Sampling(0.0, None, 10, 1)},
    {"sampling": Sampling(0.0, 0.5, 11, 1)},
    {"sampling": Sampling(0.0, 0.5, 10, None)},
    {"response_schema": None},
    {"response_schema": {"type": "array"}},
    {"rollout": 1},
]


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_changes_with_each_part_of_a_call(change) -> None:
    assert request(**change).key != request().key


def test_all_these_keys_are_different() -> None:
    assert len({request(**change).key for change in CHANGES}) == len(CHANGES)


def test_place_and_time_limit_are_not_part_of_the_key() -> None:
    assert request(path="a/b", timeout_s=1.0).key == request().key
    assert replace(request(), path="c").key == request().key


def test_a_key_is_a_hash_of_canonical_content() -> None:
    schema = {"b": 1, "a": 2}
    other = {"a": 2, "b": 1}
    assert request(response_schema=schema).key == request(response_schema=other).key
    assert request().key.startswith("sha256:")


def test_unknown_usage_stays_unknown() -> None:
    assert Usage(1, None).total_tokens is None
    assert Usage(None, 1).total_tokens is None
    assert Usage(1, 2).total_tokens == 3
    assert Usage(0, 0).total_tokens == 0


def test_who_paid_for_a_response_is_not_on_record() -> None:
    response = LmResponse("t", "length", "m", Usage(1, None, 3), scripted=True, paid=True)
    assert "paid" not in response.to_json()
