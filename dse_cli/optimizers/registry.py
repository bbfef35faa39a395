"""Optimizers by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dse_cli.optimizers.authored import Authored, AuthoredConfig
from dse_cli.optimizers.fewshot_greedy_forward import (
    FewShotGreedyForward,
    FewShotGreedyForwardConfig,
)
from dse_cli.optimizers.instruction_grid import InstructionGrid, InstructionGridConfig
from dse_cli.optimizers.joint import JointConfig, JointInstructionGridThenFewShot
from dse_cli.optimizers.knobs_grid import KnobsGrid, KnobsGridConfig
from dse_cli.optimizers.search import Registered

OPTIMIZERS: Mapping[str, Registered[Any]] = {
    Authored.id: Registered(Authored(), AuthoredConfig),
    InstructionGrid.id: Registered(InstructionGrid(), InstructionGridConfig),
    FewShotGreedyForward.id: Registered(FewShotGreedyForward(), FewShotGreedyForwardConfig),
    JointInstructionGridThenFewShot.id: Registered(JointInstructionGridThenFewShot(), JointConfig),
    KnobsGrid.id: Registered(KnobsGrid(), KnobsGridConfig),
}
