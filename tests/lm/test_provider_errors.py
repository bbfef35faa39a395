from __future__ import annotations

import pytest

from dse_cli.lm.provider_errors import from_status, quote, retry_after, said_in
from dse_cli.lm.routes import Route

ROUTE = Route("openai/m", api_key="a-private-key")
NOON = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "3"}, 3.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "inf"}, None),
        ({"Retry-After": "nan"}, None),
    ],
)
def test_retry_after_is_read_as_seconds_or_a_date(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOON) == seconds


def test_secrets_are_blanked_whatever_they_look_like() -> None:
    said = "key a-private-key and sk-abcdefghijklmnopqrstuv\nand more"
    assert quote(said, ROUTE) == "key *** and *** and more"


def test_a_long_page_is_cut() -> None:
    assert len(quote("x" * 5000, ROUTE)) == 300


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no", "code": "bad"}}, "no (bad)"),
        ({"error": {"message": "no", "code": None}}, "no"),
        ({"error": "plain"}, "plain"),
        ({"detail": "x"}, "{'detail': 'x'}"),
        ([1], "[1]"),
    ],
)
def test_the_message_of_an_error_body_is_found(body: object, said: str) -> None:
    assert said_in(body) == said


def test_a_501_never_gets_better_and_a_502_may() -> None:
    assert not from_status(ROUTE, 501, "").retryable
    assert from_status(ROUTE, 502, "").retryable
