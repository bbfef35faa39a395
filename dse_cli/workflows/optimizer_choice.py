"""``dse compile --optimizer ID``: the same job with another optimizer.

What belongs to the job's own optimizer goes with it: its settings, and whatever the chosen one
would have no use for. In a file that would be refused, because a person wrote it for an effect;
here a person asked for another optimizer, and is told what was left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.contracts.errors import UsageError
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.optimizers.search import PARTS
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.job import CompileJob
    from dse_cli.optimizers.search import Optimizer


def with_optimizer(job: CompileJob, written: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return a job as JSON for the optimizer ``written``, and what it had to lose for that.

    Returns:
        The job without an optimizer of its own (or as it is, when that is the one), and the dotted
        names of what was left out.

    Raises:
        UsageError: there is no such optimizer.
    """
    value = job.to_json()
    if written == job.optimizer.id:
        return value, ()
    registered = OPTIMIZERS.get(written)
    if registered is None:
        hint = did_you_mean(written, sorted(OPTIMIZERS), otherwise="optimizers")
        raise UsageError(f"there is no optimizer {written!r}", hint=hint)
    left_out = []
    for path in _unused(job, registered.optimizer):
        parent = value
        for key in path[:-1]:
            parent = parent.get(key, {})
        if parent.pop(path[-1], None) is not None:
            left_out.append(".".join(path))
    if value["optimizer"].get("config"):
        left_out.append("optimizer.config")
    value["optimizer"] = {}
    return value, tuple(left_out)


def _unused(job: CompileJob, optimizer: Optimizer[Any]) -> Iterator[tuple[str, ...]]:
    """Yield the places of a job that would have no effect."""
    for part in PARTS:
        if part not in optimizer.searches:
            yield ("search_space", part)
    roles = {"proposer": optimizer.meta, "teacher": optimizer.teaches, "embedder": optimizer.embeds}
    for role, used in roles.items():
        if not used:
            yield ("models", role)
    if not optimizer.meta:
        yield ("budget", "proposer_share")
        yield ("meta",)
    for name in sorted(set(job.meta) - set(optimizer.meta)):
        yield ("meta", name)
