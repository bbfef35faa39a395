"""Optimizers by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dse_cli.optimizers.authored import Authored, AuthoredConfig
from dse_cli.optimizers.bootstrap_random_search import (
    BootstrapRandomSearch,
    BootstrapRandomSearchConfig,
)
from dse_cli.optimizers.copro import Copro, CoproConfig
from dse_cli.optimizers.fewshot_greedy_forward import (
    FewShotGreedyForward,
    FewShotGreedyForwardConfig,
)
from dse_cli.optimizers.fewshot_knn import FewShotKnn, FewShotKnnConfig
from dse_cli.optimizers.fewshot_lazy_greedy import FewShotLazyGreedy, FewShotLazyGreedyConfig
from dse_cli.optimizers.instruction_grid import InstructionGrid, InstructionGridConfig
from dse_cli.optimizers.instruction_propose import (
    InstructionPropose,
    InstructionProposeConfig,
)
from dse_cli.optimizers.joint import JointConfig, JointInstructionGridThenFewShot
from dse_cli.optimizers.knobs_grid import KnobsGrid, KnobsGridConfig
from dse_cli.optimizers.mipro.config import MiproV2Config
from dse_cli.optimizers.mipro.mipro_v2 import MiproV2
from dse_cli.optimizers.search import Registered
from dse_cli.optimizers.simba.simba import Simba, SimbaConfig
from dse_cli.optimizers.successive_halving import SuccessiveHalving, SuccessiveHalvingConfig

OPTIMIZERS: Mapping[str, Registered[Any]] = {
    Authored.id: Registered(Authored(), AuthoredConfig),
    BootstrapRandomSearch.id: Registered(BootstrapRandomSearch(), BootstrapRandomSearchConfig),
    InstructionGrid.id: Registered(InstructionGrid(), InstructionGridConfig),
    InstructionPropose.id: Registered(InstructionPropose(), InstructionProposeConfig),
    FewShotGreedyForward.id: Registered(FewShotGreedyForward(), FewShotGreedyForwardConfig),
    FewShotKnn.id: Registered(FewShotKnn(), FewShotKnnConfig),
    FewShotLazyGreedy.id: Registered(FewShotLazyGreedy(), FewShotLazyGreedyConfig),
    JointInstructionGridThenFewShot.id: Registered(JointInstructionGridThenFewShot(), JointConfig),
    KnobsGrid.id: Registered(KnobsGrid(), KnobsGridConfig),
    MiproV2.id: Registered(MiproV2(), MiproV2Config),
    Copro.id: Registered(Copro(), CoproConfig),
    Simba.id: Registered(Simba(), SimbaConfig),
    SuccessiveHalving.id: Registered(SuccessiveHalving(), SuccessiveHalvingConfig),
}
