"""Fisher's exact test against SciPy, against published numbers, and as a distribution."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dse_cli.evaluation.statistics.fisher import more_errors_p

TABLES = st.tuples(
    st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)
).filter(lambda t: sum(t) > 0)


@settings(deadline=None)  # the first call imports SciPy
@given(TABLES)
def test_it_agrees_with_scipy(table: tuple[int, int, int, int]) -> None:
    from scipy.stats import fisher_exact

    a, b, c, d = table
    expected = fisher_exact([[a, b], [c, d]], alternative="greater").pvalue
    assert more_errors_p(a, a + b, c, c + d) == pytest.approx(float(expected), abs=1e-9)


def test_the_lady_tasting_tea() -> None:
    # Fisher 1935: 3 of 4 cups right, p = 17/70; all 4, p = 1/70.
    assert more_errors_p(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert more_errors_p(4, 4, 0, 4) == pytest.approx(1 / 70)


def test_without_an_error_or_without_samples_nothing_is_worse() -> None:
    assert more_errors_p(0, 20, 0, 500) == 1.0
    assert more_errors_p(0, 20, 3, 500) == 1.0
    assert more_errors_p(5, 20, 0, 0) == 1.0
    assert more_errors_p(0, 0, 0, 0) == 1.0


@given(TABLES)
def test_one_more_error_is_never_less_surprising(table: tuple[int, int, int, int]) -> None:
    a, b, c, d = table
    if b and c:  # the margins stay: an error moves from one channel to the other
        assert more_errors_p(a + 1, a + b, c - 1, c + d) <= more_errors_p(a, a + b, c, c + d)


def test_many_receipts_are_whole_numbers_still() -> None:
    from scipy.stats import hypergeom

    expected = float(hypergeom.sf(39, 1_001_000, 20_040, 1_000))
    assert more_errors_p(40, 1_000, 20_000, 1_000_000) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("table", [(2, 1, 0, 1), (-1, 1, 0, 1), (0, 1, 2, 1)])
def test_more_errors_than_samples_are_refused(table: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="between 0"):
        more_errors_p(*table)
