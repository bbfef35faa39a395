from __future__ import annotations

from typing import Any

import pytest

from dse_cli.contracts.history import GateEvidence, GuardResult
from dse_cli.report.gate_text import gate_lines


def guard(name: str, *, tripped: bool) -> GuardResult:
    return GuardResult(
        name=name, n=40, delta=-0.12, limit=0.0, p=0.001, adjusted_p=0.004, tripped=tripped
    )


def lines(verdict: str, **more: Any) -> list[str]:
    evidence = GateEvidence.model_construct(
        **{"verdict": verdict, "line": "+1.0 points", "reason": None, "guards": (), **more}
    )
    return list(gate_lines(evidence))


def test_without_guards_and_reasons_there_is_the_line_alone() -> None:
    assert lines("promote") == ["+1.0 points"]


def test_a_guard_that_kept_the_pointer_is_named_once() -> None:
    reason = "tag refunds: -12.0 points, n = 40, adjusted p = 0.004"
    found = (guard("decode_failures", tripped=False), guard("tag refunds", tripped=True))
    assert lines("guard", guards=found, reason=reason) == [
        "+1.0 points",
        f"guard: {reason}",
        "guards: 1 of 2 held (decode failures, tag refunds)",
    ]


@pytest.mark.parametrize("verdict", ["cannot_tell", "regression"])
def test_a_guard_that_tripped_beside_another_verdict_is_told_too(verdict: str) -> None:
    found = (guard("tag refunds", tripped=True),)
    assert lines(verdict, guards=found, reason="the gain is below min_effect") == [
        "+1.0 points",
        "because: the gain is below min_effect",
        "also worse: tag refunds: -12.0 points, n = 40, adjusted p = 0.004",
        "guards: 0 of 1 held (tag refunds)",
    ]
