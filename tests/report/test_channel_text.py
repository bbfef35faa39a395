from __future__ import annotations

from dse_cli.contracts.channel import ChannelCounts
from dse_cli.registry.served import ServedCounts
from dse_cli.report.channel_text import comparison_text


def test_a_comparison_names_its_test_and_states_nothing_more() -> None:
    counts = ServedCounts(ChannelCounts(ok=4), ChannelCounts(ok=9), None)
    assert comparison_text(counts, 1.0) == "Fisher's exact test, one-sided: p = 1.000"


def test_without_a_sample_of_the_active_policy_nothing_was_compared() -> None:
    counts = ServedCounts(ChannelCounts(ok=4), ChannelCounts(cancelled=1), None)
    text = comparison_text(counts, 1.0)
    assert "nothing to compare with" in text
    assert "p =" not in text
