from __future__ import annotations

from dse_cli.evaluation.views.paired_slices import SlicePair, paired_slices


def test_both_means_are_over_the_rows_that_both_answered() -> None:
    ours = {"a": 1.0, "b": 0.0, "c": None, "d": 1.0}
    theirs = {"a": 1.0, "b": 1.0, "c": 1.0, "d": None}
    tags = {"a": ("x", "y"), "b": ("x",), "c": ("y",), "d": ("z",)}
    assert paired_slices(ours, theirs, tags) == (
        SlicePair("x", 2, 0.5, 1.0, -0.5),
        SlicePair("y", 1, 1.0, 1.0, 0.0),
    )


def test_rows_that_only_one_policy_has_are_in_no_slice() -> None:
    assert paired_slices({"a": 1.0}, {}, {"a": ("x",)}) == ()
