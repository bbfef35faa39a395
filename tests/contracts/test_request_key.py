from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.canonical import NotCanonicalError, sha256_of
from dse_cli.contracts.lm import LmRequest, Message, ModelIdentity, Role, Sampling

TEXT = st.text(max_size=12)
ROLES: list[Role] = ["system", "user", "assistant"]
REQUESTS = st.builds(
    LmRequest,
    identity=st.builds(
        ModelIdentity, model=TEXT, endpoint=st.none() | TEXT, weights=st.none() | TEXT
    ),
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(ROLES), content=TEXT), max_size=4
    ).map(tuple),
    sampling=st.builds(
        Sampling,
        temperature=st.none() | st.floats(0, 2),
        top_p=st.none() | st.floats(0, 1),
        max_tokens=st.none() | st.integers(0, 99),
        seed=st.none() | st.integers(-9, 9),
    ),
    response_schema=st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
    rollout=st.integers(0, 9),
    task=st.none() | st.just("embed"),
)


@settings(max_examples=400, deadline=None)
@given(REQUESTS)
def test_the_key_is_the_hash_of_the_canonical_request(request_: LmRequest) -> None:
    assert request_.key == sha256_of(request_.to_json())


def test_the_key_is_pinned() -> None:
    made = LmRequest(
        ModelIdentity("openai/x", "http://127.0.0.1:1/v1"),
        (Message("system", 'say "é"\n'), Message("user", "hi")),
        Sampling(temperature=0.0, max_tokens=5),
        {"type": "object"},
        rollout=2,
    )
    text = (
        '{"messages":[{"content":"say \\"é\\"\\n","role":"system"},{"content":"hi","role":"user"}],'
        '"model":{"endpoint":"http://127.0.0.1:1/v1","model":"openai/x","weights":null},'
        '"response_schema":{"type":"object"},"rollout":2,'
        '"sampling":{"max_tokens":5,"seed":null,"temperature":0,"top_p":null}}'
    )
    assert made._canonical_text() == text


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": (Message("user", "\ud800"),)},
        {"messages": (Message("system", "\udc00"), Message("user", "x"))},
        {"rollout": 2**53},
        {"response_schema": {"maximum": float("inf")}},
        {"sampling": Sampling(temperature=float("nan"))},
    ],
)
def test_a_request_without_a_canonical_form_is_refused(changes: dict[str, Any]) -> None:
    whole: dict[str, Any] = {
        "identity": ModelIdentity("m"),
        "messages": (Message("user", "x"),),
        **changes,
    }
    with pytest.raises(NotCanonicalError):
        LmRequest(**whole)
