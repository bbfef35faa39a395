"""The last line of ``dse replay --all``: what was only verified is not called replayed."""

from __future__ import annotations

from typing import Any

import pytest

from dse_cli.cli.replay import _count
from dse_cli.contracts.errors import DivergenceError
from dse_cli.workflows.replays.replay import ReplayReport
from dse_cli.workflows.replays.replay_all import Receipt, Replayed

RECEIPT = Receipt("route", "0" * 12, serves=False)


def result(mode: Any) -> Replayed:
    return Replayed(RECEIPT, ReplayReport("0" * 12, mode, 1, 0, None, None, ""))


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        ([], "there is no receipt to replay"),
        (["verify"], "1 receipt verified"),
        (["verify", "verify"], "2 receipts verified"),
        (["strict", "strict"], "2 receipts replayed"),
        (["strict", "verify"], "2 receipts replayed, 1 of them only verified"),
    ],
)
def test_it_says_what_was_done(modes: list[str], said: str) -> None:
    assert _count([result(mode) for mode in modes], 0) == said


def test_what_failed_is_counted_first() -> None:
    failed = Replayed(RECEIPT, None, error=DivergenceError("diverged", path="a"))
    assert _count([failed, result("verify")], 1) == "2 receipts, 1 failed"
