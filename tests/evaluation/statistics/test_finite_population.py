from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.evaluation.statistics.finite_population import is_out_of_reach, lead_p
from dse_cli.evaluation.statistics.paired_test import mcnemar_mid_p

calm = settings(deadline=None, max_examples=80, derandomize=True)
tenths = st.integers(-10, 10).map(lambda value: value / 10)


def test_of_many_rows_it_is_mcnemars_test() -> None:
    for wins, losses in ((9, 1), (14, 6), (30, 20)):
        differences = [1.0] * wins + [-1.0] * losses + [0.0] * 10
        p = lead_p(differences, 10**9)
        assert p == pytest.approx(mcnemar_mid_p(wins, losses), abs=0.01)


def test_the_more_was_seen_the_less_can_change() -> None:
    differences = [1.0] * 8 + [-1.0] * 3 + [0.0] * 9
    found = [lead_p(differences, rows) for rows in (2000, 200, 40, 25, 21, 20)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == 0.0


def test_nobody_is_shown_to_be_worse_by_a_lead_that_is_none() -> None:
    assert lead_p([0.0, 0.0], 10) == 0.5
    assert lead_p([1.0, -1.0], 10) == 0.5
    assert lead_p([-1.0, 0.5], 10) == 1.0
    assert lead_p([], 10) == 0.5
    assert lead_p([0.5, -0.5], 2) == 1.0


def test_more_rows_than_there_are_cannot_have_been_seen() -> None:
    with pytest.raises(ValueError, match="3 rows of 2"):
        lead_p([0.0] * 3, 2)


@calm
@given(st.lists(tenths, min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(differences, shuffler) -> None:
    mixed = list(differences)
    shuffler.shuffle(mixed)
    assert lead_p(mixed, 20) == lead_p(differences, 20)


@calm
@given(
    st.lists(tenths, max_size=8),
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), max_size=8),
)
def test_who_is_out_of_reach_never_catches_up(differences, rest) -> None:
    """The leader's rewards on the rest are known; the other may have any."""
    gains = [1 - leader / 10 for leader, _ in rest]
    whole = math.fsum(differences) + math.fsum((leader - other) / 10 for leader, other in rest)
    if is_out_of_reach(differences, gains):
        assert whole > -1e-9
    best = math.fsum(differences) - math.fsum(gains)
    assert is_out_of_reach(differences, gains) == (round(best, 9) > 0)


@pytest.mark.parametrize(("rows", "seen", "level"), [(100, 20, 0.05), (100, 60, 0.01)])
def test_among_all_rows_of_equals_few_samples_look_decided(rows, seen, level) -> None:
    """Wins and losses are as many over all rows: whoever is called worse is wronged."""
    draws = random.Random(5)
    population = [1.0] * 15 + [-1.0] * 15 + [0.0] * (rows - 30)
    runs = 4000
    wronged = sum(lead_p(draws.sample(population, seen), rows) <= level for _ in range(runs))
    assert 0.3 * level <= wronged / runs <= 1.4 * level
