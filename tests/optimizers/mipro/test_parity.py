"""Our search makes the choices of DSPy's own: recorded from its loop, with made-up scores.

The record is not made here: it needs DSPy, which is no dependency. It names the versions that made
it, and another Optuna may choose otherwise.
"""

from __future__ import annotations

import json
import random
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from dse_cli.evaluation.executor import CellTask
from dse_cli.optimizers.mipro import trials
from dse_cli.optimizers.mipro.schedule import Schedule
from tests.evaluation.cells import BASE
from tests.optimizers.mipro.test_trials import Trials

RECORD = json.loads((Path(__file__).parent / "choices.json").read_text(encoding="utf-8"))
NAMES = ("main", "plan", "step", "work")

pytestmark = pytest.mark.skipif(
    version("optuna") not in RECORD["made_by"], reason="recorded with another Optuna"
)


def score(choice: tuple[tuple[int, int], ...]) -> float:
    """A score for every combination, the default program the worst; no two are the same."""
    if not any(instruction or demos for instruction, demos in choice):
        return 0.01
    return random.Random(str(choice)).random() * 0.9 + 0.05


def reward(task: CellTask) -> float:
    choice = []
    for _, policy in sorted(task.candidate.components.items()):
        text = policy.instruction
        instruction = 0 if text == BASE.instruction else int(text.split()[-1])
        choice.append((instruction, len(policy.demos)))
    return score(tuple(choice))


def evaluations(found: Trials, names: list[str]) -> list[str]:
    said = []
    for trial in found.log:
        choice = trial.choice or dict.fromkeys(
            [f"{name}.{part}" for name in names for part in ("instruction", "demos")], 0
        )
        kind = "mb" if trial.kind == "minibatch" else "full"
        pairs = [f"{choice[f'{n}.instruction']}/{choice[f'{n}.demos']}" for n in names]
        said.append(" ".join([kind, *pairs]))
    return said


@pytest.mark.parametrize(
    "run", RECORD["runs"], ids=lambda run: f"{run['components']}-{run['seed']}"
)
def test_the_evaluations_are_those_of_the_published_code_in_their_order(
    run: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The surrogate gets the very seed that DSPy was given, and not a sub-stream of it.
    monkeypatch.setattr(trials, "substream_seed", lambda *names: run["seed"])
    names = list(NAMES[: run["components"]])
    found = Trials(
        Schedule(run["trials"], run["minibatch"], 5),
        val=run["val"],
        names=names,
        instructions=run["instructions"],
        sets=run["demo_sets"],
        reward=reward,
        seed=run["seed"],
    )
    assert evaluations(found, names) == run["evaluations"]
