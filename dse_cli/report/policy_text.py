"""A policy as lines for a terminal, and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import short
from dse_cli.runtime.render import prepare

if TYPE_CHECKING:
    from dse_cli.contracts.artifact import CompiledArtifact
    from dse_cli.contracts.params import DemoSelector
    from dse_cli.runtime.policy import Policy


def policy_lines(label: str, policy: Policy, artifact: CompiledArtifact | None) -> Iterator[str]:
    """Yield a policy: identity, evidence, instruction, demos, params."""
    yield f"signature   {policy.signature.id}"
    yield f"policy      {policy.id} ({label})"
    if artifact is not None:
        provenance, optimizer = artifact.provenance, artifact.optimizer
        yield f"run         {short(provenance.run)}, seed {provenance.seed}"
        yield f"optimizer   {optimizer.id}, stopped: {optimizer.stop_reason.kind}"
        before, after = _points(artifact.baseline.mean), _points(artifact.evaluation.mean)
        yield f"val         {before} -> {after}"
    yield ""
    yield "instruction"
    yield from (f"  {line}" for line in policy.instruction.strip().splitlines())
    yield ""
    yield from _demo_heading(policy)
    for demo in policy.demos:
        yield f"  {demo.id} ({demo.source})"
        yield f"    {json.dumps(demo.input, ensure_ascii=False)}"
        yield f"    -> {json.dumps(demo.output, ensure_ascii=False)}"
    yield ""
    yield "params"
    hidden = {"instruction", "few_shot"}
    for key, value in sorted(policy.params.to_json().items()):
        if key not in hidden:
            yield f"  {key}: {json.dumps(value, ensure_ascii=False)}"


def _demo_heading(policy: Policy) -> Iterator[str]:
    selector = policy.selector
    if selector is None:
        yield f"demos ({len(policy.demos)})"
        return
    yield f"demo pool ({len(policy.demos)}), of which each input is shown {neighbours(selector)}"
    yield f"  selector  {selector.id}"
    yield f"  embedder  {selector.embedder}"
    yield f"  index     {short(selector.index)}"


def neighbours(selector: DemoSelector) -> str:
    """Return what a selector shows, in words."""
    if selector.k == 1:
        return "the one most like it"
    return f"the {selector.k} most like it, the most alike last"


def prompt_lines(policy: Policy) -> Iterator[str]:
    """Yield the stable messages of a policy as the model gets them."""
    if policy.selector is not None:
        place = "before the input" if policy.render.demos == "turns" else "in the system message"
        yield f"(of {len(policy.demos)} demos, {neighbours(policy.selector)}, stand {place})"
        yield ""
    for message in prepare(policy).prefix:
        yield f"[{message.role}]"
        yield message.content
        yield ""
    yield "[user]"
    yield "(the input as canonical JSON)"


def policy_document(policy: Policy, artifact: CompiledArtifact | None) -> dict[str, Any]:
    """Return a policy with its evidence as JSON."""
    return {
        "signature_id": policy.signature.id,
        "compiled_id": policy.id,
        "hashes": policy.hashes,
        "instruction": policy.instruction,
        "params": policy.params.to_json(),
        "artifact": None if artifact is None else artifact.to_json(),
        "prompt": [
            {"role": message.role, "content": message.content} for message in prepare(policy).prefix
        ],
    }


def _points(mean: float | None) -> str:
    return "no score" if mean is None else f"{100 * mean:.1f}"
