from __future__ import annotations

import json
import re

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.report.terminal_diagnostics import (
    MAX_SHOWN,
    diagnostics_json,
    github_annotations,
    render_diagnostics,
)

FOUND = Diagnostic(
    file="dse.yaml",
    line=12,
    column=3,
    code="unknown-key",
    message="unknown key 'modles'",
    hint="did you mean 'models'?",
    source="  modles: {}",
)


def caret_column(text: str) -> int:
    line = next(
        line
        for line in text.splitlines()
        if line.rstrip().endswith("| " + " " * 0 + "^") or re.fullmatch(r" *\| +\^", line)
    )
    return line.index("^") - line.index("|") - 2


def test_a_diagnostic_reads_without_colour() -> None:
    assert render_diagnostics([FOUND], color=False) == (
        "error[unknown-key]: unknown key 'modles'\n"
        "   --> dse.yaml:12:3\n"
        "    |\n"
        "12  |   modles: {}\n"
        "    |   ^\n"
        "    hint: did you mean 'models'?\n"
        "\n"
        "found 1 error\n"
    )


def test_colour_changes_nothing_but_colour() -> None:
    painted = render_diagnostics([FOUND], color=True)
    assert "\x1b[" in painted
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == render_diagnostics([FOUND], color=False)


def test_a_finding_about_a_whole_file_has_no_line() -> None:
    found = Diagnostic("a.yaml", 0, 0, "missing-file", "the file does not exist")
    assert render_diagnostics([found], color=False) == (
        "error[missing-file]: the file does not exist\n  --> a.yaml\n\nfound 1 error\n"
    )


def test_errors_and_warnings_are_counted_apart() -> None:
    warning = Diagnostic("a.yaml", 1, 1, "old", "old", severity="warning", source="x")
    text = render_diagnostics([FOUND, FOUND, warning], color=False)
    assert text.endswith("found 2 errors and 1 warning\n")
    assert "warning[old]: old" in text
    assert render_diagnostics([], color=False) == ""


def test_the_caret_stands_under_its_character_after_tabs_and_wide_characters() -> None:
    for source, column, expected in (("\tx", 2, 4), ("漢字x", 3, 4), ("e\u0301x", 3, 1)):
        found = Diagnostic("a", 1, column, "c", "m", source=source)
        assert caret_column(render_diagnostics([found], color=False)) == expected


def test_a_long_line_is_cut_around_the_column() -> None:
    source = "a" * 5000 + "X" + "b" * 5000
    text = render_diagnostics([Diagnostic("a", 1, 5001, "c", "m", source=source)], color=False)
    shown = next(line for line in text.splitlines() if line.startswith("1"))
    assert len(shown) < MAX_SHOWN + 20
    assert shown.startswith("1  | ...")
    assert shown.endswith("...")
    assert shown[5:][caret_column(text)] == "X"


def test_no_file_can_write_to_the_terminal() -> None:
    evil = "\x1b[2Ja\u202eb\u2066c\x9b\r\x00"
    found = Diagnostic(evil, 1, 1, "c", evil, hint=evil, source=evil)
    text = render_diagnostics([found], color=False)
    assert not set(text) & set("\x1b\u202e\u2066\x9b\r\x00")
    assert "<U+001B>[2Ja<U+202E>b" in text


def test_json_holds_every_field() -> None:
    (data,) = diagnostics_json([FOUND])
    assert json.loads(json.dumps(data)) == {
        "code": "unknown-key",
        "column": 3,
        "file": "dse.yaml",
        "hint": "did you mean 'models'?",
        "line": 12,
        "message": "unknown key 'modles'",
        "outcome": "spec",
        "severity": "error",
        "source": "  modles: {}",
    }


def test_an_annotation_cannot_be_broken_out_of() -> None:
    found = Diagnostic(
        "a,b:c%.yaml", 2, 3, "code", "100% of\n::error::other\r", hint="x:y,z", severity="warning"
    )
    assert github_annotations([found]) == (
        "::warning file=a%2Cb%3Ac%25.yaml,line=2,col=3,title=code::"
        "100%25 of%0A::error::other%0D%0Ahint: x:y,z\n"
    )


def test_an_annotation_of_a_whole_file_has_no_line() -> None:
    found = Diagnostic("a.yaml", 0, 0, "code", "message")
    assert github_annotations([found]) == "::error file=a.yaml,title=code::message\n"
