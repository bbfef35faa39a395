"""The policy of a search space whose cells may cost most: what a plan is priced with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.fewshot_greedy_forward import demo_json, demo_pool
from dse_cli.optimizers.knobs_grid import patch_of

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy


def dearest_policy(search: Search) -> Policy:
    """Return a policy that no candidate of the search exceeds in calls, tokens or money.

    Bounds grow with each part of a policy alone (a longer instruction, more demos, more repairs, a
    dearer model), so the dearest value of each part makes the dearest policy. No optimizer may
    ever try it.
    """
    policy = search.base
    for patches in _parts(search):
        policy = max(
            [policy, *map(policy.patched, patches)], key=lambda found: _weight(search, found)
        )
    return policy


def _parts(search: Search) -> Iterator[list[dict[str, Any]]]:
    space = search.space
    yield [patch_of("instruction.text", variant.text) for variant in space.instructions]
    if space.few_shot is not None:
        demos = sorted(map(demo_json, demo_pool(search)), key=lambda demo: -len(str(demo)))
        yield [{"few_shot": {"examples": demos[: space.few_shot.k_max]}}]
    for path, values in sorted(space.knobs.items()):
        yield [patch_of(path, value) for value in values]


def _weight(search: Search, policy: Policy) -> tuple[float, float, int]:
    bound = search.engine.bound(Candidate.of(policy), search.val[0])
    tokens = math.inf if bound.tokens is None else bound.tokens
    cost = math.inf if bound.cost_nano_usd is None else bound.cost_nano_usd
    return (cost, tokens, bound.lm_calls)
