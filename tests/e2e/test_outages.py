"""An outage is not a wrong answer: exit 3, nothing scored, resumable."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import CALLS, NAME, VAL, DeskServer, by_rule, write_project
from tests.lm.openai_server import Reply, Seen, answer, failure


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        assert isinstance(port, int)
        return port


def test_a_provider_that_is_down_ends_the_run_and_scores_nothing(desk: Desk) -> None:
    write_project(desk.root, f"http://127.0.0.1:{closed_port()}/v1")
    for command in (("compile", NAME), ("eval", NAME)):
        ran = desk.dse(*command, "--json", code=3)
        assert ran.document["outcome"] == "infrastructure"
        assert "provider" in ran.document["message"]
    predicted = desk.dse("predict", NAME, "note=the red hat", "--json", code=3).document
    assert predicted["outcome"] == "provider"
    assert desk.written() == {}
    assert desk.dse("check").code == 0


@pytest.mark.parametrize("good", [0, 15, 30])
def test_a_run_that_met_an_outage_is_resumed_to_the_same_bytes(
    desk: Desk,
    server: DeskServer,
    clean_compile: Callable[[], dict[str, bytes]],
    good: int,
) -> None:
    def breaks(seen: Seen) -> Reply:
        return by_rule(seen) if server.total <= good else failure(500, "on fire")

    server.rule = breaks
    failed = desk.dse("compile", NAME, "--json", "--no-cache", code=3).document
    assert "on fire" in failed["message"]
    assert "--resume" in failed["hint"]
    assert desk.written() == {}

    server.rule = by_rule
    resumed = desk.dse("compile", NAME, "--json", "--no-cache", "--resume").document
    assert resumed["resumed_calls"] == good
    assert resumed["charged"]["lm_calls"] == CALLS
    assert desk.written() == clean_compile()


def test_the_rows_of_an_outage_are_counted_apart_and_not_scored(
    desk: Desk, server: DeskServer
) -> None:
    text = (desk.root / "dse.yaml").read_text()
    (desk.root / "dse.yaml").write_text(text.replace("max_error_rate: 0.0", "max_error_rate: 0.5"))

    def breaks(seen: Seen) -> Reply:
        is_blue = "the blue" in seen.body["messages"][-1]["content"]
        return failure(400, "no blue today") if is_blue else by_rule(seen)

    server.rule = breaks
    summary = desk.dse("eval", NAME, "--json").document["summary"]
    assert summary["mean"] == pytest.approx(0.6)  # red is right, green is not, blue is not counted
    assert summary["n"] == VAL * 2 // 3
    assert list(summary["rows"].values()).count(None) == VAL // 3


def test_an_answer_that_does_not_decode_scores_and_is_no_outage(
    desk: Desk, server: DeskServer
) -> None:
    server.rule = lambda _: answer("I would rather not say.")
    ran = desk.dse("eval", NAME, "--json").document
    assert ran["summary"]["mean"] == 0.0
    assert ran["summary"]["n"] == VAL
    assert server.total == 2 * VAL  # one repair each
    assert desk.dse("predict", NAME, "note=a red hat", "--json", code=1).document["outcome"] == (
        "decode"
    )


def test_retry_after_is_honoured(desk: Desk, server: DeskServer) -> None:
    arrived: list[float] = []

    def busy_once(seen: Seen) -> Reply:
        arrived.append(time.monotonic())
        if len(arrived) == 1:
            return failure(429, "slow down", retry_after="1")
        return by_rule(seen)

    server.rule = busy_once
    predicted = desk.dse("predict", NAME, "note=the red hat", "--json").document
    assert predicted["output"] == {"box": "red"}
    assert predicted["lm_calls"] == 1  # a transport retry is not a call
    assert len(arrived) == 2
    assert arrived[1] - arrived[0] >= 0.99


def test_a_budget_below_one_pass_over_val_spends_nothing_and_names_the_floor(
    desk: Desk, server: DeskServer
) -> None:
    for option, limit, floor in (
        ("--max-metric-calls", VAL - 1, VAL),
        ("--max-lm-calls", VAL, 2 * VAL),  # a repair each
    ):
        refused = desk.dse("compile", NAME, option, str(limit), "--json", code=3).document
        assert refused["outcome"] == "budget"
        assert str(floor) in refused["message"]
    assert desk.dse("compile", NAME, "--max-tokens", "10", "--json", code=3).document["hint"]
    assert server.total == 0
    assert desk.written() == {}


def test_a_budget_that_ends_the_search_leaves_the_best_so_far(
    desk: Desk, server: DeskServer
) -> None:
    cut = desk.dse("compile", NAME, "--max-metric-calls", str(2 * VAL + 1), "--json").document
    assert cut["stop_reason"]["kind"] == "max_metric_calls"
    assert cut["charged"]["metric_calls"] == server.total == 2 * VAL
    run = cut["run"][7:19]
    assert desk.dse("replay", run, "--json").document["outcome"] == "replayed"


def test_a_dry_run_calls_nothing_and_bounds_what_the_run_then_charges(
    desk: Desk, server: DeskServer
) -> None:
    planned = desk.dse("compile", NAME, "--dry-run", "--json").document
    assert planned["outcome"] == "planned"
    assert server.total == 0
    done = desk.dse("compile", NAME, "--json").document
    assert planned["metric_calls"] == done["charged"]["metric_calls"] == CALLS
    assert planned["lm_calls_at_most"] >= done["charged"]["lm_calls"]
