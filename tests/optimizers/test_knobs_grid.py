from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.contracts.job import SearchSpace
from dse_cli.optimizers.knobs_grid import _latin_round, choices, knob_problems
from tests.optimizers.searches import KNOBS, instructions, run
from tests.runtime.policies import make_policy

KNOB_SPACE: dict[str, Any] = {
    "knobs": {"model.temperature": [0.0, 0.5, 1.0], "decode.max_repairs": [0, 2]},
    **instructions(a="Other."),
}
calm = settings(deadline=None, max_examples=60, derandomize=True)
knob_lists = st.lists(st.integers(1, 6), min_size=1, max_size=4).map(
    lambda sizes: [(f"k{i}", list(range(size))) for i, size in enumerate(sizes)]
)


def test_every_combination_is_tried_when_they_fit_and_the_base_comes_first() -> None:
    found = run(KNOBS, KNOB_SPACE, lambda policy, row: 0.5)
    assert found.origins[0] == "base"
    tried = Counter(
        (policy.sampling().temperature, policy.decode.max_repairs, policy.instruction)
        for policy in (entry.candidate.main for entry in found.entries[1:])
    )
    texts = ["Choose the queue.", "Other."]
    assert tried == Counter(itertools.product([0.0, 0.5, 1.0], [0, 2], texts))


def test_the_best_combination_is_found() -> None:
    def world(policy, row):
        return 0.1 + 0.5 * (policy.sampling().temperature == 0.5) * (policy.decode.max_repairs == 2)

    best = run(KNOBS, KNOB_SPACE, world).best
    assert "model.temperature=0.5" in best.origin
    assert "decode.max_repairs=2" in best.origin


def test_the_base_is_one_of_the_combinations_and_is_evaluated_once() -> None:
    space = {"knobs": {"model.temperature": [0.0, 0.5]}}
    found = run(KNOBS, space, lambda policy, row: 0.5)
    assert found.origins == ["base", "knobs:model.temperature=0.5"]
    assert len(found.runner.tasks) == 6


@pytest.mark.parametrize("cap", [1, 2, 5, 11])
def test_no_more_combinations_are_tried_than_allowed(cap: int) -> None:
    space = {"knobs": {"model.temperature": [0.1, 0.2, 0.3], "decode.max_repairs": [0, 2, 3, 4]}}
    found = run(KNOBS, space, lambda policy, row: 0.5, config={"max_candidates": cap})
    assert len(found.entries) == 1 + cap


@calm
@given(knob_lists, st.integers(1, 40), st.integers(0, 3))
def test_in_a_round_each_value_is_used_as_often_as_every_other_up_to_one(knobs, cap, seed) -> None:
    drawn = _latin_round(knobs, cap, seed, 0)
    assert len(drawn) == cap
    for position, (_, values) in enumerate(knobs):
        used = Counter(choice[position][1] for choice in drawn)
        counts = [used[value] for value in values]
        assert max(counts) - min(counts) <= 1


@calm
@given(knob_lists, st.integers(1, 40), st.integers(0, 3))
def test_combinations_are_distinct_as_many_as_allowed_and_the_same_for_a_seed(knobs, cap, seed):
    found = list(choices(knobs, cap, seed))
    size = 1
    for _, values in knobs:
        size *= len(values)
    assert len(found) == len(set(found)) == min(cap, size)
    assert list(choices(knobs, cap, seed)) == found


def test_which_values_are_left_out_is_drawn_and_not_always_the_last() -> None:
    knobs = [("k", list(range(10)))]
    left_in = {seed: frozenset(c[0][1] for c in choices(knobs, 3, seed)) for seed in range(20)}
    assert len(set(left_in.values())) > 5
    assert {value for values in left_in.values() for value in values} == set(range(10))


def test_values_that_are_written_twice_do_not_make_it_run_for_ever() -> None:
    space = {"knobs": {"model.temperature": [0.5, 0.5, 0.5], "decode.max_repairs": [2, 2]}}
    found = run(KNOBS, space, lambda policy, row: 0.5, config={"max_candidates": 2})
    assert len(found.entries) == 2


def problems(knobs: dict[str, list[Any]], **changes: Any) -> list[tuple[str, int]]:
    space = SearchSpace.model_validate({"knobs": knobs})
    return [(p.path, p.position) for p in knob_problems(make_policy(**changes), space)]


def test_values_that_no_policy_can_have_are_found_before_anything_is_spent() -> None:
    assert problems({"model.temperature": [0.0, 0.5], "render.demos": ["turns"]}) == []
    assert problems(
        {
            "decode.max_repairs": [0, 9],
            "decode.mode": ["yaml", "jsonish"],
            "model.temperature": [0.5, "hot"],
            "model.model": ["openai/a", None],
        }
    ) == [
        ("decode.max_repairs", 1),
        ("decode.mode", 0),
        ("model.model", 1),
        ("model.temperature", 1),
    ]


def test_a_value_without_an_effect_of_its_own_is_found() -> None:
    assert problems({"model.temperature": [0, 0.5, 0.0]}) == [("model.temperature", 2)]
    capped = {"defaults": {"constraints": {"max_tokens": 24}}}
    assert problems({"model.max_tokens": [8, 24, 48]}, **capped) == [("model.max_tokens", 2)]
