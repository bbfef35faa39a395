from __future__ import annotations

from dse_cli.project.suggest import did_you_mean, nearest


def test_the_nearest_word_is_found_whatever_its_case() -> None:
    assert nearest("Temprature", ["top_p", "temperature", "model"]) == "temperature"


def test_a_unique_completion_is_near() -> None:
    assert nearest("te", ["top_p", "temperature"]) == "temperature"
    assert nearest("t", ["top_p", "temperature"]) is None


def test_ties_go_to_the_first_in_order() -> None:
    assert nearest("ab", ["abd", "abc"]) == "abc"


def test_nothing_near_lists_what_is_known_when_asked() -> None:
    assert did_you_mean("zzz", ["b", "a"], otherwise="known keys") == "known keys: a, b"
    assert did_you_mean("zzz", ["b", "a"]) is None
    assert did_you_mean("zzz", [], otherwise="known keys") is None


def test_a_very_long_word_is_not_compared() -> None:
    assert nearest("a" * 1000, ["a" * 999]) is None
