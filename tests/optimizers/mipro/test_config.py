from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.optimizers.mipro.config import MiproV2Config, trials_for
from dse_cli.optimizers.mipro.mipro_v2 import MiproV2, recipe_of, schedule_of

ZERO_SHOT = {"max_bootstrapped_demos": 0, "max_labeled_demos": 0}

#: components, mode, full evaluations and metric calls as counted in the published code.
FEW_SHOT_TABLE = [
    (1, "light", 100, 10, 3, 650),
    (1, "medium", 300, 18, 5, 2130),
    (1, "heavy", 1000, 27, 7, 7945),
    (2, "light", 100, 20, 5, 1200),
    (2, "medium", 300, 28, 7, 3080),
    (2, "heavy", 1000, 33, 8, 9155),
    (4, "light", 100, 41, 10, 2435),
    (4, "medium", 300, 57, 13, 5895),
    (4, "heavy", 1000, 66, 15, 17310),
]


def config(**written: Any) -> MiproV2Config:
    return MiproV2Config.model_validate(written)


def refused(**written: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        config(**written)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(("components", "auto", "val", "trials", "full", "calls"), FEW_SHOT_TABLE)
def test_the_counts_are_those_of_the_published_table(
    components: int, auto: str, val: int, trials: int, full: int, calls: int
) -> None:
    schedule = schedule_of(config(auto=auto), components=components, val=val)
    assert schedule.trials == trials
    assert schedule.full_evaluations() == full
    assert schedule.metric_calls(val) == calls


@pytest.mark.parametrize(("auto", "trials"), [("light", 9), ("medium", 18), ("heavy", 27)])
def test_the_trials_without_demos_are_those_of_the_published_table(auto: str, trials: int) -> None:
    assert schedule_of(config(auto=auto, **ZERO_SHOT), components=1, val=100).trials == trials


def test_half_of_the_candidates_are_instructions_when_demos_are_searched_too() -> None:
    assert [config(auto=auto).instructions for auto in ("light", "medium", "heavy")] == [3, 6, 9]
    assert config(auto="light", **ZERO_SHOT).instructions == 6
    assert recipe_of(config(auto="medium")).sets == 12
    assert config(num_candidates=7, num_trials=3).instructions == 7


def test_minibatches_are_used_when_val_has_more_than_fifty_rows() -> None:
    assert schedule_of(config(), components=1, val=50).minibatch is None
    assert schedule_of(config(), components=1, val=51).minibatch == 35
    small = schedule_of(config(), components=1, val=50)
    assert (small.full_evaluations(), small.metric_calls(50)) == (11, 550)


def test_a_mode_is_written_out_so_that_the_artifact_names_it() -> None:
    assert config().model_dump(mode="json", exclude_none=True)["auto"] == "light"
    explicit = config(num_candidates=4, num_trials=8).model_dump(mode="json", exclude_none=True)
    assert "auto" not in explicit
    assert explicit["minibatch"] is True


def test_explicit_settings_and_auto_exclude_each_other() -> None:
    for name, value in (("num_candidates", 4), ("num_trials", 9), ("minibatch", False)):
        assert name in refused(auto="light", **{name: value})
    assert "both" in refused(auto=None)
    assert "both" in refused(num_trials=8)


def test_a_number_of_trials_is_proposed_when_it_is_missing() -> None:
    assert "take 10" in refused(num_candidates=6)
    assert "take 9" in refused(num_candidates=6, **ZERO_SHOT)


def test_settings_without_effect_are_refused() -> None:
    off = {"num_candidates": 4, "num_trials": 8, "minibatch": False}
    assert "minibatch_size" in refused(**off, minibatch_size=10)
    assert "full_eval_steps" in refused(**off, minibatch_full_eval_steps=2)
    assert "view_data" in refused(data_aware_proposer=False, view_data_batch_size=5)
    problems = MiproV2().problems(config(minibatch_size=10), train=9, val=40)
    assert [problem.setting for problem in problems] == ["minibatch_size"]
    assert "50" in problems[0].message


def test_a_minibatch_cannot_be_larger_than_val() -> None:
    explicit = config(num_candidates=4, num_trials=8)
    [problem] = MiproV2().problems(explicit, train=9, val=24)
    assert problem.setting == "minibatch_size"
    assert "minibatch: false" in problem.hint
    assert MiproV2().problems(explicit, train=9, val=35) == []
    assert MiproV2().problems(config(minibatch_size=60), train=9, val=55) != []
    assert MiproV2().problems(config(), train=9, val=24) == []


@pytest.mark.parametrize("candidates", [2, 3, 6, 12, 18, 40])
def test_the_number_of_trials_grows_with_components_and_demos(candidates: int) -> None:
    counts = [trials_for(m, candidates, demos=demos) for m in (1, 2, 4) for demos in (False, True)]
    assert counts == sorted(counts)
    assert counts[0] >= int(1.5 * candidates)


@pytest.mark.parametrize(
    "written",
    [
        {},
        {"auto": "heavy", **ZERO_SHOT},
        {"num_candidates": 4, "num_trials": 8, "minibatch": False},
        {"num_candidates": 4, "num_trials": 8, "minibatch_size": 9, "scheduler": "racing"},
        {"data_aware_proposer": False},
    ],
)
def test_the_settings_in_an_artifact_are_settings_again(written: dict[str, Any]) -> None:
    first = config(**written)
    assert config(**first.model_dump(mode="json", exclude_none=True)) == first
