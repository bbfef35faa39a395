"""Prices from LiteLLM's offline map, counted in integer nano-dollars.

The map is read as a file: importing LiteLLM takes seconds, and ``--dry-run`` wants prices too.
"""

from __future__ import annotations

import importlib.util
import json
import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.lm import NANO

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAP_FILE = "model_prices_and_context_window_backup.json"
_TIER = re.compile(r"^(input|output)_cost_per_token_above_(\d+)k_tokens$")


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per token.

    Attributes:
        prompt, completion: the plain prices.
        cached: price of a prompt token served from the provider's prefix cache, None if as plain.
        tiers: (prompt tokens above which it holds, prompt price, completion price), ascending.
    """

    prompt: Decimal
    completion: Decimal
    cached: Decimal | None = None
    tiers: tuple[tuple[int, Decimal, Decimal], ...] = ()

    def cost_nano_usd(self, prompt: int, completion: int, cached: int = 0) -> int:
        """Return the price of one call in nano-dollars, rounded half to even."""
        per_prompt, per_completion, per_cached = self.prompt, self.completion, self.cached
        for above, tier_prompt, tier_completion in self.tiers:
            if prompt > above:
                per_prompt, per_completion, per_cached = tier_prompt, tier_completion, None
        cached = min(cached, prompt) if per_cached is not None else 0
        dollars = (prompt - cached) * per_prompt + completion * per_completion
        if per_cached is not None:
            dollars += cached * per_cached
        return int((dollars * NANO).to_integral_value(ROUND_HALF_EVEN))

    def most_nano_usd_per_token(self) -> int:
        """Return an upper bound of the price of one token, in nano-dollars, rounded up."""
        prices = [self.prompt, self.completion]
        for _, tier_prompt, tier_completion in self.tiers:
            prices += [tier_prompt, tier_completion]
        return int((max(prices) * NANO).to_integral_value(ROUND_CEILING))


FREE = Price(Decimal(0), Decimal(0))


@cache
def price_of(litellm_model: str) -> Price | None:
    """Return the price of a model by its LiteLLM name, None when the map does not know it."""
    table = _price_map()
    provider, _, bare = litellm_model.partition("/")
    entry = table.get(litellm_model)
    if entry is None:
        entry = table.get(bare)
        if entry is None or entry.get("litellm_provider") != provider:
            return None
    return read_price(entry)


def read_price(entry: Mapping[str, Any]) -> Price | None:
    """Read one entry of the map; None when it prices something that tokens alone do not tell."""
    prompt, completion = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    reasoning = entry.get("output_cost_per_reasoning_token", completion)
    if prompt is None or completion is None or "tiered_pricing" in entry or reasoning != completion:
        return None
    tiers: dict[int, dict[str, Decimal]] = {}
    for key, value in entry.items():
        match = _TIER.match(key)
        if match and value is not None:
            tiers.setdefault(int(match[2]) * 1000, {})[match[1]] = Decimal(value)
    cached = entry.get("cache_read_input_token_cost")
    return Price(
        prompt=Decimal(prompt),
        completion=Decimal(completion),
        cached=None if cached is None else Decimal(cached),
        tiers=tuple(
            (above, tier.get("input", Decimal(prompt)), tier.get("output", Decimal(completion)))
            for above, tier in sorted(tiers.items())
        ),
    )


@cache
def _price_map() -> Mapping[str, Any]:
    spec = importlib.util.find_spec("litellm")  # finds the folder without importing the package
    if spec is None or spec.origin is None:
        return {}
    path = Path(spec.origin).parent / _MAP_FILE
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8") as file:
        table: dict[str, Any] = json.load(file, parse_float=Decimal)
    return table
