"""A candidate: a policy under search, as data. Programs are never mutated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dse_cli.canonical import sha256_of

if TYPE_CHECKING:
    from dse_cli.runtime.policy import Policy

MAIN = "main"


@dataclass(frozen=True)
class Candidate:
    """A map from component to policy; one component, ``main``, for one signature.

    Attributes:
        components: policy by component name.
    """

    components: Mapping[str, Policy]

    @classmethod
    def of(cls, policy: Policy) -> Candidate:
        """Return the candidate of a single signature."""
        return cls({MAIN: policy})

    @property
    def main(self) -> Policy:
        return self.components[MAIN]

    @cached_property
    def id(self) -> str:
        """The compiled id of the only policy, or a hash over the ids of all."""
        if set(self.components) == {MAIN}:
            return self.main.id
        return sha256_of({name: policy.id for name, policy in self.components.items()})

    @cached_property
    def shown(self) -> frozenset[str]:
        """Ids of the train rows that it shows as demos; none of them may score it."""
        return frozenset(
            demo.id
            for policy in self.components.values()
            for demo in policy.demos
            if demo.source != "authored"
        )
