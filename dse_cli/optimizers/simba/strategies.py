"""How SIMBA changes a program: it drops some demos, then appends a demo or a rule."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dse_cli.contracts.prompt_ir import Demo
from dse_cli.evaluation.json_values import json_text, shortened
from dse_cli.optimizers.draws import below, poisson
from dse_cli.optimizers.proposals.grounding import MOST_ROW, module_text, program_text
from dse_cli.optimizers.proposals.proposer import MOST_CHARS, Ask

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.simba.buckets import Bucket, Thresholds, Trajectory
    from dse_cli.runtime.policy import Policy

Strategy = Literal["append_a_demo", "append_a_rule"]

#: Demos at which one is dropped for certain, in a run that appends none (``max_demos: 0``).
DEMOS_WITHOUT_LIMIT = 3
#: What stands for a trajectory that is not shown: all samples of the row did equally.
NOT_SHOWN = "N/A"
#: Of a reward as the proposer reads it.
SCORE_DECIMALS = 3


@dataclass(frozen=True, slots=True)
class Draft:
    """A program about to be changed by what one bucket shows.

    Attributes:
        place: of the bucket in its step, from 0, the most interesting first.
        bucket: what is learned from.
        source: the program that is changed.
        policy: it, without the demos that were dropped.
        dropped: how many those are.
        strategy: which change was drawn.
    """

    place: int
    bucket: Bucket
    source: Entry
    policy: Policy
    dropped: int
    strategy: Strategy


@dataclass(frozen=True, slots=True)
class Program:
    """What a draft became.

    Attributes:
        has_learned: False for a draft that its strategy left as it was.
    """

    draft: Draft
    entry: Entry
    has_learned: bool


def drop_demos(policy: Policy, max_demos: int, draw: random.Random) -> Policy:
    """Return the policy without some of its demos.

    How many are drawn is Poisson with mean demos / ``max_demos``, and at least one where the
    program shows ``max_demos`` or more. Which ones is drawn with replacement.
    """
    count = len(policy.demos)
    limit = max_demos or DEMOS_WITHOUT_LIMIT
    wanted = max(poisson(draw, count / limit), int(count >= limit))
    dropped = {below(draw, count) for _ in range(min(wanted, count))}
    kept = [demo for place, demo in enumerate(policy.demos) if place not in dropped]
    return showing(policy, kept)


def with_demo(draft: Draft, levels: Thresholds) -> Policy | None:
    """Return the draft with the best trajectory as its last demo.

    A row that is shown already is shown once, with its new answer. None when the best reward is not
    above the low threshold, or is not of an answer at all.
    """
    good, row = draft.bucket.good, draft.bucket.row
    if good.reward <= levels.low or good.cell.output is None:
        return None
    demo = Demo(id=row.id, input=row.input, output=good.cell.output, source="bootstrapped")
    others = [
        shown for shown in draft.policy.demos if shown.source == "authored" or shown.id != row.id
    ]
    return showing(draft.policy, [*others, demo])


def advice_ask(draft: Draft, levels: Thresholds, place: str, note: str) -> Ask | None:
    """Return the question for a rule; None when the bucket has too little to contrast.

    That is when its best reward is not above the low threshold, or its worst not below the high
    one. When best and worst are equal, only the worse is shown: there is no better to learn from.
    """
    good, bad = draft.bucket.good, draft.bucket.bad
    if good.reward <= levels.low or bad.reward >= levels.high:
        return None
    has_better = good.reward > bad.reward
    value = {
        "program": program_text(draft.policy),
        "module": module_text(draft.policy),
        "better": trajectory_text(draft.bucket, good) if has_better else NOT_SHOWN,
        "better_score": round(good.reward, SCORE_DECIMALS) if has_better else None,
        "worse": trajectory_text(draft.bucket, bad),
        "worse_score": round(bad.reward, SCORE_DECIMALS),
    }
    return Ask("offer_advice", value, place, note)


def with_rule(draft: Draft, advice: str) -> Policy | None:
    """Return the draft with advice at the end of its instruction; None when that is too long."""
    text = f"{draft.policy.instruction}\n\n{advice}"
    if len(text) > MOST_CHARS:
        return None
    return draft.policy.patched({"instruction": {"text": text}})


def trajectory_text(bucket: Bucket, trajectory: Trajectory) -> str:
    """Return input, answer, right answer and feedback, a line each; what is long is cut visibly."""
    cell = trajectory.cell
    output = json_text(cell.output)
    if cell.output is None and cell.error is not None:
        output = f"none: {cell.error.message}"
    lines = [
        f"input: {shortened(json_text(bucket.row.input), MOST_ROW)}",
        f"output: {shortened(output, MOST_ROW)}",
        f"expected: {shortened(json_text(bucket.row.expected), MOST_ROW)}",
        *(f"feedback: {failure.message}" for failure in cell.failures),
    ]
    return "\n".join(lines)


def showing(policy: Policy, demos: Sequence[Demo]) -> Policy:
    """Return the policy with these demos; one prompt has one id, however it was come by."""
    if tuple(demos) == policy.demos:
        return policy
    patch: dict[str, Any] | None = {"examples": [demo.to_json() for demo in demos]}
    if tuple(demos) == policy.signature.authored_demos:
        patch = None  # as authored: absent, not repeated
    return policy.patched({"few_shot": patch})
