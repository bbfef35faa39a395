"""How many trials a search of MIPROv2 makes, on how many rows, and when it evaluates in full."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """How many trials, on how many rows.

    Attributes:
        trials: combinations that the surrogate picks.
        minibatch: rows of a trial; None when every trial is a full evaluation.
        full_steps: trials between full evaluations; without effect when there are no minibatches.
    """

    trials: int
    minibatch: int | None
    full_steps: int

    def is_full_due(self, trial: int) -> bool:
        """Tell whether a full evaluation follows the trial of this number, from 1."""
        if self.minibatch is None:
            return False
        return trial % self.full_steps == 0 or trial == self.trials

    def full_evaluations(self) -> int:
        """Return the full evaluations, that of the default program included."""
        if self.minibatch is None:
            return 1 + self.trials
        return 1 + math.ceil(self.trials / self.full_steps)

    def metric_calls(self, val: int) -> int:
        """Return the cells of the search over ``val`` rows, the default program included."""
        minibatches = 0 if self.minibatch is None else self.trials * self.minibatch
        return minibatches + self.full_evaluations() * val
