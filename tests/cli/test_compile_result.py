"""What `dse compile` says of its result."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.cli.common import Out
from dse_cli.cli.compile_ import _show_result
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from tests.lm.calls import RealTransport
from tests.workflows.desk import GRID, NAME, compile_it, make_project, real
from tests.workflows.proposals.studio import answer, compile_one, make_studio, studio_model

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


def test_what_became_of_proposals_is_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compile_one(make_studio(tmp_path), studio_model())
    _show_result(Out(), NAME, result, is_judge=False)
    assert "proposals: 4 asked: 3 used, 1 junk\n" in capsys.readouterr().out


def test_a_search_whose_proposals_were_all_of_no_use_is_not_called_no_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compile_one(make_studio(tmp_path), RealTransport(only_tickets))
    _show_result(Out(), NAME, result, is_judge=False)
    shown = capsys.readouterr().out
    assert "proposals: 4 asked: 4 junk\n" in shown
    assert "nothing beat the base; it is the winner\n" in shown
    assert "nothing was searched" not in shown


def only_tickets(request: LmRequest) -> LmResponse:
    is_ticket = '"ticket"' in request.messages[-1].content.partition(":")[0]
    return answer(request) if is_ticket else LmResponse("No.", "stop", "m", Usage(1, 1, 0))


def test_a_judge_is_pinned_by_the_name_of_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = compile_it(make_project(tmp_path, AUTHORED), real())
    _show_result(Out(), NAME, result, is_judge=True)
    stem = result.artifact_name.removeprefix("compiled/").removesuffix(".json")
    assert f"'artifact: {stem}'" in capsys.readouterr().err
