"""Routes: where the calls of one model identity go, with which key and within which limits.

An identity decides a response and is hashed; a route is how to get there today and never is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dse_cli.contracts.errors import ModelUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse_cli.contracts.lm import ModelIdentity


class CallLimits(Protocol):
    """The limits of one model. ``ModelAlias`` and :class:`Route` both have them."""

    @property
    def concurrency(self) -> int: ...
    @property
    def requests_per_minute(self) -> int | None: ...
    @property
    def tokens_per_minute(self) -> int | None: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def max_retries(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Route:
    """How to reach one model.

    Attributes:
        litellm_model: the name LiteLLM is given, with its provider prefix.
        api_base: base URL of an explicit endpoint, or None for the provider's own.
        api_key: the key itself; never shown by ``repr``.
        timeout_s: hard limit of one attempt, in seconds.
        max_retries: further attempts after a retryable failure.
        concurrency: calls in flight at once.
        requests_per_minute, tokens_per_minute: client-side rate limits; None is no limit.
        free: calls cost nothing (the embedded model); otherwise LiteLLM's price map decides.
        seeded: the model draws from a seed and not by chance, so that each rollout needs its own.
        in_process: computed here, without LiteLLM and without a server (the lexical embedder).
    """

    litellm_model: str
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout_s: float = 60.0
    max_retries: int = 4
    concurrency: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    free: bool = False
    seeded: bool = False
    in_process: bool = False


class Routes(Protocol):
    """Finds routes. ``route`` is async because the embedded server starts on the first call."""

    async def route(self, identity: ModelIdentity) -> Route:
        """Return the route of a model.

        Raises:
            ModelUnavailableError: no route, or a key, weights or an extra are missing.
        """
        ...

    def limits(self, identity: ModelIdentity) -> CallLimits:
        """Return the limits of a model without starting anything."""
        ...


@dataclass(frozen=True, slots=True)
class StaticRoutes:
    """Routes that are all known beforehand."""

    table: Mapping[ModelIdentity, Route]

    async def route(self, identity: ModelIdentity) -> Route:
        return self._find(identity)

    def limits(self, identity: ModelIdentity) -> CallLimits:
        return self._find(identity)

    def _find(self, identity: ModelIdentity) -> Route:
        try:
            return self.table[identity]
        except KeyError:
            raise ModelUnavailableError(
                f"no route to the model {identity.model!r}",
                hint="name it under `models` in dse.yaml",
            ) from None
