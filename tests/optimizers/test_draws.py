from __future__ import annotations

import random
from collections import Counter

import pytest

from dse_cli.optimizers.draws import below, choice, poisson, shuffled, softmax_index


class Fixed(random.Random):
    """A generator that says one number."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self._value = value

    def random(self) -> float:
        return self._value


def test_draws_are_the_same_for_ever() -> None:
    draw = random.Random(7)
    assert shuffled(draw, range(6)) == [3, 5, 4, 2, 0, 1]
    assert [below(draw, 10) for _ in range(6)] == [3, 0, 5, 0, 4, 0]
    assert [poisson(draw, 1.5) for _ in range(8)] == [0, 2, 1, 2, 1, 2, 0, 2]
    assert [softmax_index(draw, [0.1, 0.5, 0.3], 0.2) for _ in range(8)] == [1, 1, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("mean", [0.25, 1.0, 4.0])
def test_poisson_counts_have_its_mean_and_its_variance(mean: float) -> None:
    draw = random.Random(11)
    counts = [poisson(draw, mean) for _ in range(20_000)]
    average = sum(counts) / len(counts)
    spread = sum((count - average) ** 2 for count in counts) / len(counts)
    # five standard errors of a mean, and a wide margin for the variance
    assert average == pytest.approx(mean, abs=5 * (mean / 20_000) ** 0.5)
    assert spread == pytest.approx(mean, rel=0.08)


def test_nothing_is_counted_at_mean_zero() -> None:
    assert {poisson(random.Random(seed), 0.0) for seed in range(50)} == {0}


def test_softmax_draws_by_the_weights() -> None:
    draw = random.Random(3)
    counts = Counter(softmax_index(draw, [0.0, 0.2], 0.2) for _ in range(20_000))
    # exp(1) : 1
    assert counts[1] / 20_000 == pytest.approx(0.7311, abs=0.02)


@pytest.mark.parametrize("temperature", [1e-9, 1e-4])
def test_a_cold_softmax_takes_the_best_and_overflows_nothing(temperature: float) -> None:
    draw = random.Random(3)
    assert {softmax_index(draw, [0.2, 0.9, 0.5], temperature) for _ in range(50)} == {1}


@pytest.mark.parametrize("value", [0.0, 1.0 - 2.0**-53])
def test_a_draw_at_the_edge_stays_inside(value: float) -> None:
    draw = Fixed(value)
    for count in (1, 3, 7, 10):
        assert 0 <= below(draw, count) < count
        assert choice(draw, range(count)) in range(count)
        assert 0 <= softmax_index(draw, [0.1] * count, 0.2) < count


def test_shuffled_loses_nothing_and_reaches_every_order() -> None:
    draw = random.Random(5)
    orders = Counter(tuple(shuffled(draw, "abc")) for _ in range(6_000))
    assert len(orders) == 6
    assert min(orders.values()) > 850
