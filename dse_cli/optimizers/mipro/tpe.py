"""The sampler of MIPROv2: Optuna's tree-structured Parzen estimator over categorical choices.

Bergstra et al. 2011, "Algorithms for hyper-parameter optimization"; multivariate as in Falkner,
Klein and Hutter 2018. The only file that knows Optuna. Nothing in it reads a clock or a global
generator: the same seed and the same told values give the same choices.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna

#: What the sampler's draws depend on; a receipt names their versions.
LIBRARIES = ("numpy", "optuna")

#: One choice: the index of a value, by the name of its parameter.
Choice = dict[str, int]


class Tpe:
    """Suggests choices from the values of earlier ones; higher is better.

    Args:
        sizes: number of values by parameter, in the order in which they are drawn.
        seed: any integer from 0; 32 bits of it are used.
    """

    def __init__(self, sizes: Mapping[str, int], seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            # `multivariate` is marked experimental; the version in the receipt pins what it does.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._values = {name: tuple(range(size)) for name, size in sizes.items()}

    def ask(self) -> tuple[optuna.Trial, Choice]:
        """Return a new trial and what to try in it."""
        trial = self._study.ask()
        return trial, {
            name: trial.suggest_categorical(name, values) for name, values in self._values.items()
        }

    def tell(self, trial: optuna.Trial, value: float | None) -> None:
        """Say what came of a trial; None, when nothing is known, teaches the sampler nothing."""
        import optuna

        if value is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, value)

    def add(self, choice: Choice, value: float) -> None:
        """Teach a result that was not asked for: the default program, a full evaluation."""
        import optuna

        distributions: dict[str, optuna.distributions.BaseDistribution] = {
            name: optuna.distributions.CategoricalDistribution(values)
            for name, values in self._values.items()
        }
        self._study.add_trial(
            optuna.trial.create_trial(params=choice, distributions=distributions, value=value)
        )
