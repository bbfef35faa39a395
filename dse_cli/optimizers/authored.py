"""``authored.v1``: no search. Measures the policy as written, so that it can be pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.search import Optimizer

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search


class AuthoredConfig(Contract):
    """No settings: there is nothing to search."""


class Authored(Optimizer[AuthoredConfig]):
    """The base on all of val, and nothing else.

    Its artifact is the authored policy with evidence: a judge can be pinned to it, and a prompt
    that a person wrote can go through the gate like any other.
    """

    id: ClassVar[str] = "authored.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset()

    async def search(self, search: Search, config: AuthoredConfig) -> None:
        """Evaluate the base."""
        await search.try_base()

    def most_candidates(self, search: Search, config: AuthoredConfig) -> int:
        """Return 1."""
        return 1
