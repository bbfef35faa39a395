from __future__ import annotations

import json
import random

import pytest

from dse_cli.canonical import sha256_of
from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell, CellError, CellUsage, EvalSummary, SignalScore
from dse_cli.evaluation.statistics.paired_test import wilson_interval
from dse_cli.evaluation.summary import summarize

HASH = sha256_of("x")
ROWS = {
    f"r{i}": Row(
        f"r{i}", {"i": i}, {"y": i}, "val", tags=("all", "even") if i % 2 == 0 else ("all",)
    )
    for i in range(6)
}


def cell(example: str, reward: float | None, rollout: int = 0, **changes) -> Cell:
    signals = () if reward is None else (SignalScore("exact_match:y", reward),)
    usage = changes.pop("usage", CellUsage(1, 0, 10, 2, 500))
    return Cell(
        "cand", example, ROWS[example].hash, rollout, reward, signals,
        usage=usage, served_model=changes.pop("served_model", "m"), **changes,
    )  # fmt: skip


def outage(example: str, kind: str, rollout: int = 0, **changes) -> Cell:
    return cell(example, None, rollout, error=CellError(kind, "down"), **changes)  # type: ignore[arg-type]


def summary(cells: list[Cell], rows: dict[str, Row] | None = None) -> EvalSummary:
    return summarize(
        cells,
        split="val",
        dataset_revision=HASH,
        split_hash=HASH,
        reward_hash=HASH,
        rows=rows or ROWS,
        seed=7,
    )


def test_right_and_wrong_answers():
    found = summary([cell(f"r{i}", float(i < 4)) for i in range(6)])
    assert (found.n, found.mean) == (6, round(4 / 6, 12))
    assert found.interval is not None
    assert (found.interval.low, found.interval.high) == wilson_interval(4, 6)
    assert found.signals == {"exact_match:y": round(4 / 6, 12)}
    assert found.quantiles == {"p05": 0.0, "p25": 0.25, "p50": 1.0, "p75": 1.0, "p95": 1.0}
    assert {tag: (s.n, s.mean) for tag, s in found.slices.items()} == {
        "all": (6, round(4 / 6, 12)),
        "even": (3, round(2 / 3, 12)),
    }
    assert found.rows == {"r0": 1, "r1": 1, "r2": 1, "r3": 1, "r4": 0, "r5": 0}
    assert found.repeat is None
    assert (found.lm_calls, found.prompt_tokens, found.completion_tokens) == (6, 60, 12)
    assert (found.cost.nano_usd, found.cost.kind) == (3000, "exact")
    assert found.models == ("m",)
    assert not found.scripted


def test_an_outage_is_not_a_wrong_answer_and_a_decode_failure_is():
    found = summary(
        [
            cell("r0", 1.0),
            outage("r1", "provider"),
            outage("r2", "timeout"),
            outage("r3", "provider"),
            cell("r4", 0.0, error=CellError("decode", "no JSON")),
        ]
    )
    assert (found.n, found.mean) == (2, 0.5)
    assert found.failures == {"decode": 1, "provider": 2, "timeout": 1}
    assert found.rows == {"r0": 1.0, "r1": None, "r2": None, "r3": None, "r4": 0.0}
    assert found.slices["even"].n == 2


def test_nothing_but_outages_has_no_mean():
    found = summary([outage("r0", "provider"), outage("r1", "metric")])
    assert (found.n, found.mean, found.interval) == (0, None, None)
    assert (found.signals, found.quantiles, found.slices) == ({}, {}, {})


def test_no_cells_at_all_are_summarised_too():
    found = summary([])
    assert (found.n, found.mean, found.rows, found.cost.kind) == (0, None, {}, "exact")


def test_rollouts_are_averaged_per_example_before_examples_are():
    cells = [cell("r0", 1.0, 0), cell("r0", 0.0, 1), cell("r1", 1.0, 0), outage("r1", "timeout", 1)]
    found = summary(cells)
    assert (found.n, found.mean) == (2, 0.75)
    assert found.rows == {"r0": 0.5, "r1": 1.0}
    assert found.signals == {"exact_match:y": 0.75}


def test_pass_at_k_and_pass_hat_k_are_over_examples_with_all_rollouts():
    cells = [
        *(cell("r0", reward, k) for k, reward in enumerate([1.0, 1.0 - 1e-12, 1.0])),
        *(cell("r1", reward, k) for k, reward in enumerate([0.0, 1.0, 0.0])),
        *(cell("r2", reward, k) for k, reward in enumerate([0.5, 0.9, 0.0])),
        cell("r3", 1.0, 0), cell("r3", 1.0, 1), outage("r3", "provider", 2),
    ]  # fmt: skip
    repeat = summary(cells).repeat
    assert repeat is not None
    assert repeat.rollouts == 3
    assert (repeat.pass_at_k, repeat.pass_hat_k) == (round(2 / 3, 12), round(1 / 3, 12))


def test_unknown_usage_is_unknown_and_never_zero():
    found = summary([cell("r0", 1.0), cell("r1", 1.0, usage=CellUsage(1, 1, None, 4, None))])
    assert found.prompt_tokens is None
    assert found.completion_tokens == 6
    assert (found.cost.nano_usd, found.cost.kind) == (500, "unknown")
    assert (found.repairs, found.lm_calls) == (1, 2)


def test_one_scripted_cell_marks_the_whole_summary():
    found = summary([cell("r0", 1.0), cell("r1", 1.0, scripted=True, served_model="s")])
    assert found.scripted
    assert found.models == ("m", "s")


def test_the_order_of_cells_changes_no_byte():
    rng = random.Random(3)
    cells = [cell(f"r{i}", rng.random(), k) for i in range(6) for k in range(3)]
    first = summary(cells).to_json()
    rng.shuffle(cells)
    assert json.dumps(summary(cells).to_json()) == json.dumps(first)


def test_groups_widen_the_interval():
    rows = {
        f"r{i:02d}": Row(f"r{i:02d}", {"i": i}, {}, "val", group=f"g{i // 5}") for i in range(40)
    }
    alone = {name: Row(name, row.input, {}, "val") for name, row in rows.items()}
    cells = [
        Cell("c", name, row.hash, 0, float(i // 5 % 2))
        for i, (name, row) in enumerate(rows.items())
    ]
    wide, narrow = summary(cells, rows).interval, summary(cells, alone).interval
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_what_cannot_be_one_evaluation_is_refused():
    with pytest.raises(ValueError, match="twice"):
        summary([cell("r0", 1.0), cell("r0", 0.0)])
    with pytest.raises(ValueError, match="no row"):
        summary([cell("r0", 1.0)], {"r1": ROWS["r1"]})
    other = Cell("other", "r1", ROWS["r1"].hash, 0, 1.0)
    with pytest.raises(ValueError, match="one candidate"):
        summary([cell("r0", 1.0), other])
