"""Penalties: how much of a reward a prediction loses for being long or dear."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.canonical import canonical_text
from dse_cli.contracts.lm import NANO
from dse_cli.contracts.penalties import (
    Calls,
    Cost,
    CountPenalty,
    Latency,
    Length,
    Penalty,
    Tokens,
)
from dse_cli.evaluation.json_values import MISSING, value_at
from dse_cli.evaluation.metric_result import MetricError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.evaluation import CellUsage

_Settings = Length | Tokens | Calls | Cost | Latency
_Measured = tuple[Fraction, Fraction, Fraction, str]

#: The most that a penalty takes away, as a share of the quality.
MAX_DISCOUNT: Final = 0.5


class Discount(NamedTuple):
    """What the penalties of a reward come to.

    Attributes:
        penalty: the greatest of them, in [0, 1].
        feedback: what was over its target, in words; empty when nothing was.
    """

    penalty: float
    feedback: str

    def of(self, quality: float) -> float:
        """Return the reward: quality x (1 - 0.5 x penalty)."""
        return quality * (1 - MAX_DISCOUNT * self.penalty)


NO_DISCOUNT: Final = Discount(0.0, "")


def penalty_name(penalty: Penalty) -> str:
    """Return the key that a penalty has in a reward."""
    return next(iter(type(penalty).model_fields))


def discount(penalties: Sequence[Penalty], output: Any, usage: CellUsage | None) -> Discount:
    """Return the greatest penalty of one prediction.

    Args:
        usage: the prediction's own; None is unknown.

    Raises:
        MetricError: a penalty needs what is not known, which is not the same as nothing.
    """
    found: list[Discount] = []
    for penalty in penalties:
        name = penalty_name(penalty)
        value, target, limit, unit = _measured(getattr(penalty, name), output, usage)
        share = min(Fraction(1), max(Fraction(0), (value - target) / (limit - target)))
        words = f"{name}: {_shown(value)} {unit}, target {_shown(target)}, limit {_shown(limit)}"
        found.append(Discount(float(share), words if share else ""))
    if not found:
        return NO_DISCOUNT
    words = "; ".join(one.feedback for one in found if one.feedback)
    return Discount(max(one.penalty for one in found), words)


def _measured(config: _Settings, output: Any, usage: CellUsage | None) -> _Measured:
    """Return what was used, target, limit, and the unit of all three."""
    if isinstance(config, Length):
        return _counted(_characters(config, output), config, "characters")
    if usage is None:
        raise MetricError("the usage of the prediction is not known")
    if isinstance(config, Calls):
        return _counted(usage.lm_calls, config, "calls")
    if isinstance(config, Tokens):
        return _counted(_known(usage.total_tokens, "number of tokens"), config, "tokens")
    if isinstance(config, Latency):
        used = Fraction(_known(usage.latency_ms, "latency"))
        return used, Fraction(config.target_ms), Fraction(config.limit_ms), "ms"
    cost = Fraction(_known(usage.cost_nano_usd, "cost"), NANO)
    return cost, Fraction(repr(config.target_usd)), Fraction(repr(config.limit_usd)), "US dollars"


def _counted(count: int, config: CountPenalty, unit: str) -> _Measured:
    return Fraction(count), Fraction(config.target), Fraction(config.limit), unit


def _known(value: int | None, what: str) -> int:
    if value is None:
        raise MetricError(f"the {what} of the prediction is not known")
    return value


def _characters(config: Length, output: Any) -> int:
    value = output if config.field is None else value_at(output, config.field)
    if value is MISSING:
        return 0  # an optional field that is not there is as short as can be
    return len(value if isinstance(value, str) and config.field else canonical_text(value))


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    digits = max(2, 2 - math.floor(math.log10(abs(value))))
    return f"{float(value):.{digits}f}".rstrip("0")
