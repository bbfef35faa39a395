from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.contracts.errors import ProviderError
from dse_cli.lm.answer_shape import Answer, read_answer, read_usage

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


def body(message: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": message, "finish_reason": "stop"}], "model": "m", **more}


def test_parts_of_a_text_are_joined() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert read_answer(body({"content": parts}), "m").text == "ab"


def test_a_lone_surrogate_is_refused_because_it_cannot_be_stored() -> None:
    with pytest.raises(ProviderError, match="Unicode"):
        read_answer(body({"content": "\ud800"}), "m")


@pytest.mark.parametrize("odd", [-1, 1.5, True, "7", 2**53, None])
def test_odd_token_counts_are_unknown(odd: Any) -> None:
    assert read_usage({"prompt_tokens": odd, "completion_tokens": 3})[0] is None


def test_cached_tokens_are_read() -> None:
    details = {"cached_tokens": 4}
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "prompt_tokens_details": details}
    assert read_usage(usage) == (9, 1, 4)


@given(JSON | st.builds(body, JSON | st.fixed_dictionaries({"content": JSON}), usage=JSON))
def test_no_json_whatever_crashes_the_reader(value: Any) -> None:
    answer: Answer | ProviderError
    try:
        answer = read_answer(value, "m")
    except ProviderError as error:
        answer = error
    if isinstance(answer, Answer):
        assert isinstance(answer.text, str)
    else:
        assert answer.message.startswith("m: the answer is not a chat completion")
