from __future__ import annotations

import subprocess
import sys
from decimal import Decimal

from dse_cli.lm.prices import price_of, read_price


def test_a_listed_model_has_an_exact_price() -> None:
    price = price_of("openai/gpt-4o-mini")
    assert price is not None
    assert price.cost_nano_usd(1_000_000, 0) == 150_000_000
    assert price.cost_nano_usd(0, 1) == 600
    assert price.cost_nano_usd(100, 0, cached=40) == 60 * 150 + 40 * 75


def test_a_name_of_another_provider_has_no_price() -> None:
    assert price_of("hosted_vllm/gpt-4o-mini") is None
    assert price_of("openai/never-heard-of-it") is None


def test_a_price_that_tokens_do_not_tell_is_unknown() -> None:
    flat = {"input_cost_per_token": Decimal("1e-6"), "output_cost_per_token": Decimal("2e-6")}
    assert read_price(flat) is not None
    assert read_price({"input_cost_per_token": Decimal(1)}) is None
    assert read_price({**flat, "tiered_pricing": []}) is None
    assert read_price({**flat, "output_cost_per_reasoning_token": Decimal("9e-6")}) is None


def test_a_long_prompt_is_priced_by_its_tier() -> None:
    entry = {
        "input_cost_per_token": Decimal("1e-6"),
        "output_cost_per_token": Decimal("2e-6"),
        "input_cost_per_token_above_200k_tokens": Decimal("3e-6"),
    }
    price = read_price(entry)
    assert price is not None
    assert price.cost_nano_usd(200_000, 1) == 200_000 * 1000 + 2000
    assert price.cost_nano_usd(200_001, 1) == 200_001 * 3000 + 2000


def test_prices_do_not_import_litellm() -> None:
    code = (
        "import sys; from dse_cli.lm.prices import price_of; "
        "assert price_of('openai/gpt-4o-mini'); assert 'litellm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
