"""Routing: sticky, monotone in the percentage, and close to the share that was asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dse_cli.registry.routing import BUCKETS, bucket_of, is_canary

SIGNATURE = "@acme/support/RouteTicket.v1"
PERCENTS = st.integers(1, BUCKETS).map(lambda hundredths: hundredths / 100)


@given(st.text(max_size=20), st.text(max_size=40))
def test_a_bucket_is_in_range_and_follows_from_its_key_alone(salt: str, key: str) -> None:
    bucket = bucket_of(salt, SIGNATURE, key)
    assert 0 <= bucket < BUCKETS
    assert bucket_of(salt, SIGNATURE, key) == bucket


@given(st.text(max_size=40), PERCENTS, PERCENTS)
def test_a_higher_percentage_keeps_every_key_of_a_lower_one(
    key: str, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    assert is_canary("s", SIGNATURE, key, high) or not is_canary("s", SIGNATURE, key, low)


@given(st.text(max_size=40))
def test_all_keys_belong_to_a_canary_of_one_hundred_percent(key: str) -> None:
    assert is_canary("s", SIGNATURE, key, 100)


@pytest.mark.parametrize("percent", [0.5, 10, 33.33, 90])
def test_the_share_of_many_keys_is_close_to_the_percentage(percent: float) -> None:
    keys = 20_000
    hits = sum(is_canary("salt", SIGNATURE, f"user-{n}", percent) for n in range(keys))
    spread = (percent / 100 * (1 - percent / 100) / keys) ** 0.5
    assert abs(hits / keys - percent / 100) < 4 * spread


def test_another_salt_and_another_signature_draw_anew() -> None:
    keys = [f"user-{n}" for n in range(400)]

    def mine(salt: str, signature: str) -> list[str]:
        return [key for key in keys if is_canary(salt, signature, key, 50)]

    drawn = [mine("a", SIGNATURE), mine("b", SIGNATURE), mine("a", SIGNATURE + "1")]
    assert len({tuple(keys) for keys in drawn}) == 3


def test_the_bucket_of_a_known_request_never_changes() -> None:
    assert bucket_of("salt", SIGNATURE, "user-7") == EXPECTED


#: int(sha256("salt:@acme/support/RouteTicket.v1:user-7"), 16) % 10000, by another program.
EXPECTED = 9218
