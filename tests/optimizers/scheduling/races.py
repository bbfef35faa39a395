"""Grids of instructions with a reward for each row, raced."""

from __future__ import annotations

from typing import Any

from dse_cli.contracts.dataset import Row
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import unit
from tests.optimizers.searches import GRID, Found, World, instructions, run

HALVING = "successive_halving.v1"


def named(count: int) -> dict[str, Any]:
    """Variants v00, v01, ..., whose text is their id."""
    return instructions(**{f"v{index:02d}": f"v{index:02d}" for index in range(count)})


def number(policy: Policy) -> int | None:
    """Which variant a policy is; None for the base."""
    text = policy.instruction
    return int(text[1:]) if text[1:].isdigit() else None


def skilled(*skills: float, base: float = 0.5) -> World:
    """Right where a row's own draw is under the skill: who is better is right wherever others are,
    but for some luck of its own."""

    def world(policy: Policy, row: Row) -> float:
        which = number(policy)
        skill = base if which is None else skills[which]
        luck = 0.15 * (unit("luck", str(which), row.id) - 0.5)
        return float(unit("row", row.id) + luck < skill)

    return world


def race(world: World, count: int, *, rows: int = 40, **more: Any) -> Found:
    config = {"scheduler": more.pop("scheduler", "racing")}
    return run(GRID, named(count), world, rows=rows, config=config, **more)


def halve(world: World, count: int, *, rows: int = 40, **more: Any) -> Found:
    return run(HALVING, named(count), world, rows=rows, **more)


def full(world: World, count: int, *, rows: int = 40, **more: Any) -> Found:
    return run(GRID, named(count), world, rows=rows, **more)


def trials(found: Found) -> list[tuple[str, str, int, str]]:
    """Origin, kind, rows and note of each trial."""
    origins = {entry.candidate.id: entry.origin for entry in found.entries}
    return [
        (origins[trial.candidate], trial.kind, trial.rows, trial.note)
        for trial in found.search.log.trials
    ]


def means(found: Found) -> dict[str, float | None]:
    return {entry.origin: found.search.archive.mean(entry) for entry in found.entries}


def settings_problems(optimizer: str, config: dict[str, Any], val: int) -> list[str]:
    registered = OPTIMIZERS[optimizer]
    found = registered.optimizer.problems(registered.parse(config), train=4, val=val)
    return [problem.message for problem in found]
