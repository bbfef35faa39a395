"""A question that a search asks besides evaluating: a proposal, a summary, a reflection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dse_cli.runtime.policy import Policy


@dataclass(frozen=True, slots=True)
class Query:
    """One prediction of a policy that is not under search.

    Attributes:
        policy: who is asked.
        value: its input.
        path: logical path, unique in the run.
        rollout: index of the sample; another rollout is another answer to the same question.
        embedder: resolved model that embeds ``value`` instead, and the policy is not asked; the
            prediction's output is then ``{"vector": ...}``, the text of the response.
    """

    policy: Policy
    value: Mapping[str, Any]
    path: str
    rollout: int = 0
    embedder: str | None = None
