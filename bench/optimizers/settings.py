"""The optimizers that are compared, each with settings that fit one budget of metric calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

#: The policy as written; it is measured once a task and every optimizer starts from it.
BASELINE: Final = "authored.v1"


class Scale(NamedTuple):
    """How large a run is.

    Attributes:
        val: rows that select.
        budget: most metric calls of one compile.
        threshold: least reward of an answer that may become a demo.
    """

    val: int
    budget: int
    threshold: float = 1.0

    @property
    def passes(self) -> int:
        """How often all of val fits the budget."""
        return self.budget // self.val

    @property
    def minibatch(self) -> int:
        """Rows of a minibatch: a third of val."""
        return max(1, self.val // 3)


def _nothing(_: Scale) -> dict[str, Any]:
    return {}


@dataclass(frozen=True)
class Arm:
    """One optimizer of the comparison.

    Attributes:
        searches_texts: whether it chooses among the instructions of the task.
        config: its settings at a scale; what is left out is its default.
        space: more of its search space.
        models: models besides the main one, by role.
    """

    searches_texts: bool = False
    config: Callable[[Scale], dict[str, Any]] = _nothing
    space: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, str] = field(default_factory=dict)


def _mipro(scale: Scale) -> dict[str, Any]:
    # The published auto modes want hundreds of metric calls; this is their shape, made small: base,
    # bootstrapping, six minibatches and two full evaluations fill the budget.
    return {
        "num_candidates": 4,
        "num_trials": 6,
        "minibatch": True,
        "minibatch_size": scale.minibatch,
        "minibatch_full_eval_steps": 3,
        "max_bootstrapped_demos": 2,
        "max_labeled_demos": 4,
        "metric_threshold": scale.threshold,
    }


def _random_search(scale: Scale) -> dict[str, Any]:
    # Base, labelled, bootstrapped and shuffled sets, and one pass is left for bootstrapping.
    return {
        "num_candidate_programs": max(0, scale.passes - 4),
        "max_bootstrapped_demos": 2,
        "max_labeled_demos": 4,
        "metric_threshold": scale.threshold,
    }


def _simba(scale: Scale) -> dict[str, Any]:
    # A step takes two samples of a row and measures three programs on it; the base and the winners
    # of both steps are measured on all of val.
    rows = (scale.budget - 3 * scale.val) // (2 * 5)
    return {"bsize": max(1, rows), "num_candidates": 2, "max_steps": 2, "max_demos": 3}


#: By optimizer id, in the order of the table. The budget decided the settings: trial runs that left
#: much of it unused changed the trials of MIPROv2 and the minibatch of SIMBA. No score did.
ARMS: Final[Mapping[str, Arm]] = MappingProxyType(
    {
        BASELINE: Arm(),
        "mipro_v2.v1": Arm(config=_mipro),
        "bootstrap_random_search.v1": Arm(config=_random_search),
        "instruction_propose.v1": Arm(
            config=lambda scale: {
                "breadth": 2,
                "rounds": 2,
                "reflection_rows": max(1, scale.val // 2),
                "failures": 4,
            },
        ),
        "copro.v1": Arm(config=lambda _: {"breadth": 3, "depth": 2}),
        "simba.v1": Arm(config=_simba),
        "fewshot_knn.v1": Arm(
            config=lambda _: {"k": [1, 3]},
            space={"few_shot": {"k_max": 3}},
            models={"embedder": "lexical-embed"},
        ),
        "fewshot_greedy_forward.v2": Arm(space={"few_shot": {"k_max": 3, "pool_size": 4}}),
        "instruction_grid.v1": Arm(searches_texts=True),
        "successive_halving.v1": Arm(searches_texts=True),
        "knobs_grid.v1": Arm(
            searches_texts=True,
            config=lambda scale: {"max_candidates": max(1, scale.passes - 1)},
            space={"few_shot": {"k_max": 4}},
        ),
        "fewshot_greedy_forward.v1": Arm(space={"few_shot": {"k_max": 3, "pool_size": 4}}),
        "joint_instruction_grid_then_fewshot_greedy_forward.v1": Arm(
            searches_texts=True, space={"few_shot": {"k_max": 1, "pool_size": 2}}
        ),
    }
)
