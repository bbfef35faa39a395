"""Terminal manners: quick help, two streams, no colour where none is wanted, annotations."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from dse_cli import __version__
from tests.e2e.conftest import Desk
from tests.e2e.desk import NAME
from tests.e2e.running import environment

HEAVY = (
    "aiohttp",
    "diskcache",
    "httpx",
    "json_repair",
    "jsonschema_rs",
    "litellm",
    "numpy",
    "openai",
    "pydantic",
    "rich",
    "scipy",
    "xllamacpp",
    "yaml",
)
COMMANDS = (
    "cache",
    "check",
    "compile",
    "config",
    "diff",
    "eval",
    "export",
    "init",
    "list",
    "models",
    "predict",
    "promote",
    "replay",
    "rollback",
    "schema",
    "show",
)


def test_help_imports_nothing_heavy(tmp_path) -> None:
    code = (
        "import sys, atexit\n"
        f"loaded = lambda: [name for name in {HEAVY!r} if name in sys.modules]\n"
        "atexit.register(lambda: print('loaded:', loaded(), file=sys.stderr))\n"
        "sys.argv = ['dse', '--help']\n"
        "from dse_cli.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stderr == "loaded: []\n"
    assert [name for name in COMMANDS if name not in done.stdout] == []


def test_the_version_is_printed(desk: Desk) -> None:
    assert desk.fresh("--version").stdout == f"dse {__version__}\n"


def test_no_file_of_a_project_runs_in_place_of_a_library(desk: Desk) -> None:
    for name in ("yaml", "typer", "pydantic", "dataclasses", "json"):
        (desk.root / f"{name}.py").write_text("raise SystemExit('code of the project ran')\n")
    assert desk.fresh("list", "--json").document["outcome"] == "listed"


def test_a_wrong_option_is_a_usage_error(desk: Desk) -> None:
    ran = desk.dse("compile", NAME, "--max-metric-cals", "3", code=2)
    assert "--max-metric-calls" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize(
    "words",
    [("eval",), ("eval", NAME, "--limit", "0"), ("eval", NAME, "--bogus"), ("evil",)],
    ids=" ".join,
)
def test_a_command_line_that_cannot_be_read_is_a_document_too(
    desk: Desk, words: tuple[str, ...]
) -> None:
    plain = desk.dse(*words, code=2)
    ran = desk.dse(*words, "--json", code=2)
    assert ran.document["outcome"] == "usage"
    assert ran.document["message"] in plain.stderr
    assert ran.document["hint"].endswith("--help'")
    assert ran.stderr == plain.stderr


@pytest.mark.parametrize(
    ("command", "code"), [(("schema", "receipt"), 0), (("list", "--json"), 0), (("check",), 2)]
)
def test_a_reader_that_left_changes_no_exit_code(
    desk: Desk, command: tuple[str, ...], code: int
) -> None:
    if code == 2:
        (desk.root / "dse.yaml").write_text("dse: project/v1\nx: 1\n")
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-m", "dse_cli", *command],
        cwd=desk.root,
        env=desk.env,
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        os.close(write)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in stderr
    assert "Broken" not in stderr
    assert (stderr == "") == (code == 0)


def on_a_terminal(desk: Desk, *args: str, **env: str) -> str:
    """Return what a command writes on stderr when that is a terminal."""
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "dse_cli", *args],
        cwd=desk.root,
        env=desk.env | {"TERM": "xterm"} | env,
        stdout=subprocess.PIPE,
        stderr=theirs,
        check=False,
        timeout=60,
    )
    os.close(theirs)
    said = b""
    try:
        while block := os.read(ours, 65536):
            said += block
    except OSError:  # how Linux says that a terminal was closed
        pass
    os.close(ours)
    assert b"Traceback" not in done.stdout + said
    return said.decode()


def test_no_color_is_obeyed(desk: Desk) -> None:
    (desk.root / "dse.yaml").write_text("dse: project/v1\nmodles: {}\n")
    assert "\x1b[" in on_a_terminal(desk, "check")
    plain = on_a_terminal(desk, "check", NO_COLOR="1")
    assert "\x1b[" not in plain
    assert "did you mean" in plain


def test_quiet_says_nothing_but_errors(desk: Desk) -> None:
    assert desk.dse("eval", NAME, "--quiet").stderr == ""
    assert desk.dse("eval", NAME).stderr != ""
    failed = desk.dse("eval", "nothing-of-the-kind", "--quiet", code=2)
    assert failed.stderr.startswith("error: ")


def test_github_gets_annotations(desk: Desk) -> None:
    path = desk.root / "signatures" / NAME / "compile.yaml"
    path.write_text(path.read_text().replace("exact_match", "exact_macth"))
    line = path.read_text()[: path.read_text().index("exact_macth")].count("\n") + 1
    plain = desk.dse("check", code=2)
    assert "::error" not in plain.stderr
    annotated = desk.dse("check", "--json", code=2, GITHUB_ACTIONS="true")
    found = [one for one in annotated.stderr.splitlines() if one.startswith("::error ")]
    assert len(found) == len(json.loads(annotated.stdout)["diagnostics"])
    assert f"file=signatures/{NAME}/compile.yaml,line={line}" in found[0]


def test_every_command_takes_json_and_quiet(desk: Desk) -> None:
    groups = {"cache": ["stats", "clear"], "models": ["pull", "list", "verify"]}
    for command in COMMANDS:
        for sub in groups.get(command, [""]):
            words = [command, sub] if sub else [command]
            text = desk.dse(*words, "--help").stdout
            assert "--json" in text, words
            assert "--quiet" in text, words
