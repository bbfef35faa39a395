"""Settings of ``mipro_v2.v1``, with the published names, defaults and rules."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from dse_cli.contracts.base import Contract
from dse_cli.optimizers.scheduling.settings import RacingSpec

Auto = Literal["light", "medium", "heavy"]
RaceSpec = Literal["racing"] | RacingSpec

#: Demos that are bootstrapped for grounding when none is searched.
ZERO_SHOT_DEMOS = 3


#: Without effect where every trial is a full evaluation.
MINIBATCH_SETTINGS = ("minibatch_size", "minibatch_full_eval_steps")


class AutoSetting(NamedTuple):
    """What an auto mode stands for: the number of candidates, and the most rows of val."""

    candidates: int
    val: int


AUTO: dict[Auto, AutoSetting] = {
    "light": AutoSetting(6, 100),
    "medium": AutoSetting(12, 300),
    "heavy": AutoSetting(18, 1000),
}


class MiproV2Config(Contract):
    """Settings. ``auto: light`` unless ``num_candidates`` and ``num_trials`` are given.

    Attributes:
        auto: number of candidates and trials, and the most rows of val.
        num_candidates: demo sets, and instructions with the authored one.
        num_trials: combinations that are tried.
        max_bootstrapped_demos: most bootstrapped demos of a set.
        max_labeled_demos: a set is filled with labelled rows up to so many demos. With 0 and 0
            demos are not searched.
        metric_threshold: least reward of an answer that becomes a demo, above 0 to 1.
        minibatch: whether a trial is scored on a minibatch of val; auto decides by itself.
        minibatch_size: rows of a minibatch.
        minibatch_full_eval_steps: trials between full evaluations.
        init_temperature: of the proposer, 0 to 2.
        view_data_batch_size: train rows shown at a time for the summary of the dataset.
        data_aware_proposer: whether the proposer sees a summary of the train rows.
        program_aware_proposer: whether it sees the prompt, with a description.
        fewshot_aware_proposer: whether it sees bootstrapped demos.
        tip_aware_proposer: whether it is given a tip.
        scheduler: ``racing`` gives up a full evaluation that cannot catch up with the best so far;
            every one is finished, as published, when absent.
    """

    auto: Auto | None = None
    num_candidates: Annotated[int, Field(ge=2, le=100)] | None = None
    num_trials: Annotated[int, Field(ge=1, le=1000)] | None = None
    max_bootstrapped_demos: Annotated[int, Field(ge=0, le=64)] = 4
    max_labeled_demos: Annotated[int, Field(ge=0, le=64)] = 4
    metric_threshold: Annotated[float, Field(gt=0, le=1)] = 1.0
    minibatch: bool | None = None
    minibatch_size: Annotated[int, Field(ge=1, le=100_000)] = 35
    minibatch_full_eval_steps: Annotated[int, Field(ge=1, le=1000)] = 5
    init_temperature: Annotated[float, Field(ge=0, le=2)] = 1.0
    view_data_batch_size: Annotated[int, Field(ge=1, le=100)] = 10
    data_aware_proposer: bool = True
    program_aware_proposer: bool = True
    fewshot_aware_proposer: bool = True
    tip_aware_proposer: bool = True
    scheduler: RaceSpec | None = None

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, written: Any) -> Any:
        """Write out the defaults that depend on other settings, so that an artifact has them."""
        if not isinstance(written, dict):
            return written
        if not {"auto", "num_candidates", "num_trials"} & written.keys():
            return {"auto": "light", **written}
        if written.get("auto") is None:
            return {"minibatch": True, **written}
        return written

    @model_validator(mode="after")
    def _fit_together(self) -> MiproV2Config:
        if self.auto is not None:
            for name in ("num_candidates", "num_trials", "minibatch"):
                if getattr(self, name) is not None:
                    raise ValueError(f"{name} is set by auto: {self.auto}; remove one of the two")
        elif self.num_candidates is None:
            raise ValueError("without auto, num_candidates and num_trials are both needed")
        elif self.num_trials is None:
            usual = trials_for(1, self.num_candidates, demos=not self.is_zero_shot)
            raise ValueError(
                f"without auto, num_trials is needed too; for {self.num_candidates} candidates "
                f"auto would take {usual}"
            )
        elif not self.minibatch:
            for name in self.changed(*MINIBATCH_SETTINGS):
                raise ValueError(f"{name} has no effect with minibatch: false")
        if not self.bootstraps and self.changed("metric_threshold"):
            raise ValueError("metric_threshold has no effect: nothing is bootstrapped")
        if not self.data_aware_proposer and self.changed("view_data_batch_size"):
            raise ValueError("view_data_batch_size has no effect with data_aware_proposer: false")
        return self

    def changed(self, *names: str) -> list[str]:
        """Return which of these settings are not at their default.

        An artifact holds every setting, so that one was written out says nothing.
        """
        fields = type(self).model_fields
        return [name for name in names if getattr(self, name) != fields[name].default]

    @property
    def is_zero_shot(self) -> bool:
        """Whether only instructions are searched."""
        return self.max_bootstrapped_demos == 0 and self.max_labeled_demos == 0

    @property
    def bootstraps(self) -> bool:
        """Whether anything makes use of a bootstrapped demo."""
        return self.max_bootstrapped_demos > 0 or (
            self.is_zero_shot and self.fewshot_aware_proposer
        )

    @property
    def candidates(self) -> int:
        """The number N of the published formulas; there are so many demo sets."""
        return self.num_candidates or AUTO[self.auto or "light"].candidates

    @property
    def instructions(self) -> int:
        """Instructions, the authored one among them: N/2 in an auto mode with demos, else N."""
        if self.auto is not None and not self.is_zero_shot:
            return self.candidates // 2
        return self.candidates


def trials_for(components: int, candidates: int, *, demos: bool) -> int:
    """Return the published number of trials for N ``candidates`` of each of M parameters.

    ``max(2 M log2 N, 1.5 N)``, cut to an integer; M is doubled when demos are searched too.
    """
    parameters = components * (2 if demos else 1)
    return int(max(2 * parameters * math.log2(candidates), 1.5 * candidates))
