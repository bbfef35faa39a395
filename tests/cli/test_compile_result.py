"""What `dse compile` says of its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.cli.common import Out
from dse_cli.cli.compile_ import _show_result
from tests.workflows.desk import GRID, NAME, compile_it, make_project, real

AUTHORED = {**GRID, "optimizer": {"id": "authored.v1"}, "search_space": {}}


def test_a_search_selected_and_is_no_evidence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _show_result(Out(), NAME, compile_it(make_project(tmp_path), real()), is_judge=False)
    shown = capsys.readouterr()
    assert "selected here: not evidence of a gain" in shown.out
    assert f"next: dse promote {NAME} --latest" in shown.err


def test_where_nothing_was_searched_nothing_was_selected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compile_it(make_project(tmp_path, AUTHORED), real())
    _show_result(Out(), NAME, result, is_judge=False)
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{NAME}: 33.3 on val (n = 9)\nnothing was searched: ")
    assert "evidence" not in shown.out
    assert "next:" not in shown.err


def test_a_judge_is_pinned_by_the_name_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compile_it(make_project(tmp_path, AUTHORED), real())
    _show_result(Out(), NAME, result, is_judge=True)
    stem = result.artifact_name.removeprefix("compiled/").removesuffix(".json")
    assert f"'artifact: {stem}'" in capsys.readouterr().err
