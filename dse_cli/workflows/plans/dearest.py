"""The policy of a search space whose cells may cost most: what a plan is priced with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import canonical_bytes
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.fewshot_greedy_forward import demo_json, demo_pool
from dse_cli.optimizers.knobs_grid import patch_of
from dse_cli.runtime.direct import BYTES_PER_TOKEN

if TYPE_CHECKING:
    from dse_cli.optimizers.search import Search, SearchPlan
    from dse_cli.runtime.policy import Policy

#: Characters of an instruction, at most, as the contract of params has it.
LONGEST_INSTRUCTION = 200_000


def dearest_policy(search: Search, plan: SearchPlan) -> Policy:
    """Return a policy that no candidate of the search exceeds in calls, tokens or money.

    Bounds grow with each part of a policy alone (a longer instruction, more demos, more repairs, a
    dearer model), so the dearest value of each part makes the dearest policy. No optimizer may
    ever try it. What a proposer writes is as long as its model may answer, and a demo that a policy
    makes has an answer as long as that policy may give; where neither is bounded, nothing is known
    of their length, and :func:`unbounded` says so.
    """
    policy = search.base
    for patches in _parts(search, plan):
        policy = max(
            [policy, *map(policy.patched, patches)], key=lambda found: _weight(search, found)
        )
    return policy


def unbounded(search: Search, plan: SearchPlan) -> bool:
    """Tell whether candidates may be of any length: a proposer whose answers are not bounded."""
    return bool(search.meta and plan.texts) and _longest_text(search) is None


def _parts(search: Search, plan: SearchPlan) -> Iterator[list[dict[str, Any]]]:
    space = search.space
    yield [patch_of("instruction.text", text) for text in _instructions(search, plan)]
    yield [{"few_shot": {"examples": demos}} for demos in _demo_sets(search, plan)]
    for path, values in sorted(space.knobs.items()):
        yield [patch_of(path, value) for value in values]


def _instructions(search: Search, plan: SearchPlan) -> Iterator[str]:
    for variant in search.space.instructions:
        yield variant.text
    written = _longest_text(search) if search.meta else None
    if written and plan.texts:
        # Rules are appended to what stands there, so the base counts too.
        text = search.base.instruction + "x" * (written * plan.texts)
        yield text[:LONGEST_INSTRUCTION]


def _longest_text(search: Search) -> int | None:
    """Return the most bytes that a proposer writes at once, None when nothing bounds it."""
    caps = [policy.sampling("main").max_tokens for policy in search.meta.values()]
    known = [cap for cap in caps if cap is not None]
    return BYTES_PER_TOKEN * max(known) if known and len(known) == len(caps) else None


def _demo_sets(search: Search, plan: SearchPlan) -> Iterator[list[dict[str, Any]]]:
    if search.space.few_shot is not None:
        demos = sorted(map(demo_json, demo_pool(search)), key=lambda demo: -len(str(demo)))
        yield demos[: search.space.few_shot.k_max]
    if plan.demos:
        made = sorted(_made_demos(search), key=lambda demo: -len(canonical_bytes(demo)))
        yield made[: plan.demos]


def _made_demos(search: Search) -> Iterator[dict[str, Any]]:
    """Yield each train row as a demo with the longer of its label and the longest answer."""
    caps = [search.base.sampling(role).max_tokens for role in ("main", "repair")]
    known = [cap for cap in caps if cap is not None]
    longest = BYTES_PER_TOKEN * max(known) if known else 0
    for row in search.train:
        size = longest - len(canonical_bytes(row.expected))
        output = {"answer": "x" * longest} if size > 0 else row.expected
        yield {"id": row.id, "input": row.input, "output": output, "source": "bootstrapped"}


def _weight(search: Search, policy: Policy) -> tuple[float, float, int]:
    bound = search.engine.bound(Candidate.of(policy), search.val[0])
    tokens = math.inf if bound.tokens is None else bound.tokens
    cost = math.inf if bound.cost_nano_usd is None else bound.cost_nano_usd
    return (cost, tokens, bound.lm_calls)
