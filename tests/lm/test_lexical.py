from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dse_cli.canonical import sha256_of
from dse_cli.contracts.lm import LmRequest, Message, Usage
from dse_cli.lm.lexical import LEXICAL, lexical_response, lexical_vector
from dse_cli.lm.vectors import read_vector, similarity

CARD = "Where is my new card?"


def test_texts_that_share_words_are_nearer_than_texts_that_do_not() -> None:
    card = lexical_vector(CARD)
    near = similarity(card, lexical_vector("My card is still not here, where is it?"))
    far = similarity(card, lexical_vector("The exchange rate looks wrong to me"))
    assert near > far
    assert similarity(card, lexical_vector("WHERE is my   new card")) == 1


@given(st.text(max_size=40))
def test_every_text_has_a_vector(text: str) -> None:
    vector = lexical_vector(text)
    assert len(vector) == 1024
    assert any(vector)


def test_the_method_is_pinned_by_its_name() -> None:
    # Another result for the same text is another embedder, and needs another name.
    assert LEXICAL.model == "builtin/hashed-char-ngrams.v1"
    assert sha256_of(list(lexical_vector(CARD))) == PINNED


def test_it_answers_as_a_model_does_and_costs_nothing() -> None:
    request = LmRequest(LEXICAL, (Message("user", CARD),), path="p", task="embed")
    response = lexical_response(request)
    assert read_vector(response.text) == lexical_vector(CARD)
    assert response.usage == Usage(0, 0, 0)
    assert not response.scripted


PINNED = "sha256:c29a36dd43165cd61e0f42ac5a1feadcc1b84c9be7a24c1561c55e1cb669eaea"
