"""What ``dse promote`` prints of a canary that became active, and of a plan."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from dse_cli.cli.common import Out
from dse_cli.cli.promote_show import show_canary_promotion, show_plan
from dse_cli.contracts.channel import ChannelCounts
from dse_cli.registry.served import ServedCounts


def promoted(active: ChannelCounts) -> Any:
    counts = ServedCounts(ChannelCounts(ok=4), active, None)
    target = SimpleNamespace(compiled_id="sha256:" + "ab" * 32)
    record = SimpleNamespace(sequence=2, target=target)
    return SimpleNamespace(counts=counts, p=1.0, record=record, start=SimpleNamespace(sequence=1))


def test_the_test_is_named_and_the_evidence_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_canary_promotion(Out(), "route", promoted(ChannelCounts(ok=9)))
    lines = capsys.readouterr().out.splitlines()
    assert "Fisher's exact test, one-sided: p = 1.000" in lines
    assert "quality: by the gate of record 1" in lines


def test_a_canary_that_got_all_requests_has_no_p(capsys: pytest.CaptureFixture[str]) -> None:
    show_canary_promotion(Out(), "route", promoted(ChannelCounts()))
    assert "nothing to compare with" in capsys.readouterr().out
    show_canary_promotion(Out(as_json=True), "route", promoted(ChannelCounts()))
    assert json.loads(capsys.readouterr().out)["p"] is None


def test_a_plan_prints_its_notes(capsys: pytest.CaptureFixture[str]) -> None:
    side = SimpleNamespace(label="x", ref=SimpleNamespace(compiled_id="sha256:0"))
    plan: Any = SimpleNamespace(
        candidate=side, baseline=side, rows=9, metric_calls=18, look=1, level=0.025, notes=("seen",)
    )
    show_plan(Out(), plan)
    assert capsys.readouterr().out.splitlines()[-1] == "note          seen"
    show_plan(Out(as_json=True), plan)
    assert json.loads(capsys.readouterr().out)["notes"] == ["seen"]
