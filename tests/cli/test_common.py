"""What every command shares: one document on stdout, whatever happens."""

from __future__ import annotations

import json

import pytest
import typer

from dse_cli.cli.common import Out, command, say
from dse_cli.contracts.errors import ExitCode


def test_half_a_surrogate_pair_is_written_as_its_escape(
    capsys: pytest.CaptureFixture[str],
) -> None:
    say("a \udcff b", err=True)
    Out(as_json=True).document("done", {"path": "a \udcff b"})
    shown = capsys.readouterr()
    assert shown.err == "a \\udcff b\n"
    assert json.loads(shown.out) == {"outcome": "done", "path": "a \udcff b"}


def test_a_document_holds_no_command_of_github_actions(capsys: pytest.CaptureFixture[str]) -> None:
    Out(as_json=True).document("done", {"output": "###[stop-commands]x"})
    written = capsys.readouterr().out
    assert "##[" not in written
    assert json.loads(written)["output"] == "###[stop-commands]x"


def test_a_bug_is_a_document_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left, command(as_json=True):
        raise ZeroDivisionError("oh")
    assert left.value.exit_code == ExitCode.BUG
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["outcome"], document["message"]) == (
        "bug",
        "a bug in dse: ZeroDivisionError: oh",
    )
    assert document["hint"] in shown.err
