from __future__ import annotations

import random
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.project import GateGuards, PromisedSaving
from dse_cli.evaluation.gate.guards import guard_results, slice_tags
from dse_cli.evaluation.gate.resources import relative_test, saving_results
from dse_cli.evaluation.gate.row_measures import RowMeasures
from dse_cli.evaluation.statistics.paired_test import holm_adjusted, mcnemar_mid_p

N = 60


def ids(n: int = N) -> list[str]:
    return [f"r{i:03d}" for i in range(n)]


def rows(n: int = N, tags: Any = lambda i: (), group: Any = lambda i: None) -> list[Row]:
    return [
        Row(name, {}, {}, "holdout", tags(i), group(i), hash=f"sha256:{i}")
        for i, name in enumerate(ids(n))
    ]


def measures(n: int = N, **per_row: Any) -> RowMeasures:
    values: dict[str, Any] = {
        "rewards": lambda i: 1.0,
        "decode_failures": lambda i: 0.0,
        "tokens": lambda i: 100.0,
        "cost": lambda i: 1000.0,
        **per_row,
    }
    found: dict[str, Any] = {
        key: {name: of(i) for i, name in enumerate(ids(n))} for key, of in values.items()
    }
    return RowMeasures(**found)


def trips(candidate: RowMeasures, baseline: RowMeasures, where: list[Row], **options: Any):
    guards = GateGuards(**options.pop("guards", {}))
    found = guard_results(candidate, baseline, guards, where, seed=1, alpha=0.05, **options)
    return {guard.name: guard for guard in found}


# --- Holm ---


def test_holm_agrees_with_published_examples():
    # Wright (1992), Biometrics 48, and the example of Wikipedia's page on the method.
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    # What p.adjust of R gives for five p-values with the method "holm".
    five = holm_adjusted([0.01, 0.02, 0.03, 0.04, 0.05])
    assert five == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])


def test_holm_adjusts_nothing_one_and_ties_and_never_beyond_1():
    assert holm_adjusted([]) == []
    assert holm_adjusted([0.2]) == [0.2]
    assert holm_adjusted([0.5, 0.5, 0.9]) == [1.0, 1.0, 1.0]
    assert holm_adjusted([0.01, 0.01]) == pytest.approx([0.02, 0.02])


def test_holm_is_between_no_correction_and_bonferroni_and_keeps_the_order():
    rng = random.Random(1)
    for _ in range(50):
        ps = [rng.random() ** 2 for _ in range(rng.randrange(1, 12))]
        adjusted = holm_adjusted(ps)
        assert all(p <= a <= min(1, len(ps) * p) + 1e-12 for p, a in zip(ps, adjusted, strict=True))
        ranked = [a for _, a in sorted(zip(ps, adjusted, strict=True))]
        assert ranked == sorted(ranked)


# --- guards ---


def test_decode_failures_are_tested_by_mcnemar_from_the_other_side():
    worse = measures(decode_failures=lambda i: float(i < 9))
    found = trips(worse, measures(decode_failures=lambda i: float(i == 59)), rows())
    guard = found["decode_failures"]
    assert guard.p == pytest.approx(mcnemar_mid_p(9, 1), abs=1e-12)
    assert (guard.n, guard.limit, guard.tripped) == (N, 0.0, True)
    assert guard.delta == pytest.approx(8 / N)


def test_fewer_decode_failures_never_trip():
    found = trips(measures(), measures(decode_failures=lambda i: float(i < 30)), rows())
    assert not found["decode_failures"].tripped
    assert found["decode_failures"].p > 0.99


def test_a_tag_that_lost_trips_although_the_whole_gained():
    where = rows(tags=lambda i: ("refunds",) if i < 25 else ("other",))
    candidate = measures(rewards=lambda i: float(i >= 10))
    baseline = measures(rewards=lambda i: float(i < 25))
    found = trips(candidate, baseline, where)
    assert found["tag refunds"].tripped
    assert found["tag refunds"].n == 25
    assert found["tag refunds"].delta == -0.4
    assert not found["tag other"].tripped


def test_only_tags_with_20_answered_rows_are_slices():
    where = rows(tags=lambda i: tuple(t for t, n in (("a", 19), ("b", 20), ("c", 21)) if i < n))
    outage = measures(rewards=lambda i: None if i == 0 else 1.0)
    assert list(slice_tags(measures().rewards, measures().rewards, where)) == ["b", "c"]
    assert list(slice_tags(outage.rewards, measures().rewards, where)) == ["c"]
    names = set(trips(measures(), measures(), where))
    assert names == {"decode_failures", "tag b", "tag c"}


def test_what_is_not_guarded_is_not_tested():
    where = rows(tags=lambda i: ("all",))
    off = {"slices": False, "decode_failures": False}
    assert trips(measures(), measures(), where, guards=off) == {}
    both = trips(measures(), measures(), where, guards={**off, "tokens": 0.5, "cost": 0.0})
    assert set(both) == {"tokens", "cost"}


@pytest.mark.parametrize(("factor", "tripped"), [(1.4, False), (1.5, False), (1.6, True)])
def test_tokens_may_grow_up_to_the_limit(factor, tripped):
    candidate = measures(tokens=lambda i: 100 * factor + i % 5)
    baseline = measures(tokens=lambda i: 100 + i % 5)
    guard = trips(candidate, baseline, rows(), guards={"tokens": 0.5})["tokens"]
    assert guard.tripped is tripped
    assert guard.limit == 0.5
    assert guard.delta == pytest.approx(factor * 100 / 102 + 2 / 102 - 1)


def test_a_cost_that_appears_from_nothing_trips():
    guard = trips(measures(), measures(cost=lambda i: 0.0), rows(), guards={"cost": 0.5})["cost"]
    assert guard.tripped
    assert guard.delta is None


def test_rows_of_a_group_are_one_observation_for_every_guard():
    where = rows(tags=lambda i: ("all",), group=lambda i: f"g{i // 20}")
    candidate = measures(rewards=lambda i: 0.0, decode_failures=lambda i: 1.0)
    found = trips(candidate, measures(), where, guards={"tokens": 0.0})
    assert [guard.n for guard in found.values()] == [3, 3, 3]
    assert not any(guard.tripped for guard in found.values())


def test_all_guards_of_a_look_are_one_family():
    where = rows(tags=lambda i: (f"t{i % 3}",))
    candidate = measures(decode_failures=lambda i: float(i < 6))
    alone = trips(candidate, measures(), where, guards={"slices": False})["decode_failures"]
    family = trips(candidate, measures(), where)["decode_failures"]
    assert family.p == alone.p == alone.adjusted_p
    assert family.adjusted_p == pytest.approx(4 * alone.p)


def test_in_the_second_mode_a_slice_may_lose_the_margin():
    where = rows(tags=lambda i: ("all",))
    lost = measures(rewards=lambda i: float(i >= 7))
    assert trips(lost, measures(), where)["tag all"].tripped
    allowed = trips(lost, measures(), where, allowed_loss=0.05)["tag all"]
    assert not allowed.tripped
    assert allowed.limit == -0.05


# --- savings ---


def test_a_saving_has_to_be_above_the_promise_not_at_it():
    half = {name: 50.0 + i % 3 for i, name in enumerate(ids())}
    full = {name: 100.0 + 2 * (i % 3) for i, name in enumerate(ids())}

    def p(share: float) -> float:
        found = relative_test(half, full, share, "below", groups=None, seed=3)
        assert found.change == pytest.approx(-0.5)
        return found.p

    assert p(0.6) < 0.001
    assert p(0.5) == 1.0
    assert p(0.4) > 0.999


def test_all_promised_savings_are_tested_and_unknown_usage_shows_none():
    promise = PromisedSaving(tokens=0.2, cost=0.2)

    def shown(candidate: RowMeasures) -> dict[str, bool]:
        found = saving_results(candidate, measures(), promise, groups=None, seed=0, level=0.025)
        return {saving.name: saving.shown for saving in found}

    cheap = measures(tokens=lambda i: 60.0 + i % 7, cost=lambda i: 900.0)
    assert shown(cheap) == {"tokens": True, "cost": False}
    unknown = RowMeasures(cheap.rewards, cheap.decode_failures, cheap.tokens, cheap.cost, 1, 0)
    assert shown(unknown) == {"tokens": False, "cost": False}


def test_nothing_to_compare_is_no_saving():
    found = relative_test({}, {}, 0.8, "below", groups=None, seed=0)
    assert found == (0, None, 1.0)
