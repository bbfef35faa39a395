from __future__ import annotations

import pytest

from dse_cli.optimizers.mipro.tpe import Choice, Tpe

SIZES = {"main.instruction": 3, "main.demos": 6}


def run(seed: int, trials: int = 25, sizes: dict[str, int] = SIZES) -> list[Choice]:
    tpe = Tpe(sizes, seed)
    tpe.add(dict.fromkeys(sizes, 0), 0.2)
    chosen = []
    for _ in range(trials):
        trial, choice = tpe.ask()
        chosen.append(choice)
        tpe.tell(trial, 0.3 * (choice["main.instruction"] == 2) + 0.4 * (choice["main.demos"] == 4))
    return chosen


def test_the_same_seed_makes_the_same_choices_and_zero_is_a_seed() -> None:
    assert run(0) == run(0)
    assert run(0) != run(1)
    assert run(9) != run(0)


def test_a_seed_may_have_more_bits_than_the_sampler_takes() -> None:
    assert run(2**63 + 5) == run(2**63 + 5) == run(5)


def test_choices_are_within_their_sizes_and_in_their_order() -> None:
    for choice in run(3):
        assert list(choice) == list(SIZES)
        assert all(0 <= index < SIZES[name] for name, index in choice.items())


@pytest.mark.parametrize("seed", range(4))
def test_it_learns_from_what_it_is_told(seed: int) -> None:
    late = run(seed, trials=40)[20:]
    best = sum(choice == {"main.instruction": 2, "main.demos": 4} for choice in late)
    assert best > 20 / 18 * 3


def test_a_trial_without_a_value_teaches_nothing() -> None:
    tpe = Tpe(SIZES, 0)
    for _ in range(12):
        trial, _ = tpe.ask()
        tpe.tell(trial, None)
    assert tpe.ask()[1].keys() == SIZES.keys()


def test_results_that_were_not_asked_for_move_the_choices() -> None:
    def after(value: float) -> list[Choice]:
        tpe = Tpe(SIZES, 1)
        for index in range(11):
            tpe.add({"main.instruction": index % 3, "main.demos": index % 6}, value * (index == 5))
        chosen = []
        for _ in range(10):
            trial, choice = tpe.ask()
            tpe.tell(trial, 0.5)
            chosen.append(choice)
        return chosen

    assert after(1.0) != after(-1.0)
