"""Every `dse` command of the CI files and of docs/ci.md is one that the command line takes."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from dse_cli.cli.main import app

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "dse_cli" / "workflows" / "templates" / "init"
WORKFLOWS = [
    ROOT / ".github" / "workflows" / "dse.yml",
    TEMPLATES / "dot_github" / "workflows" / "dse.yml",
]
#: What stands before a command in a shell script.
_STARTS = frozenset({"", ";", "&&", "||", "|", "then", "do", "else", "!", "$", "(", "&"})
#: What ends one.
_ENDS = frozenset({";", "&&", "||", "|", ")", ">", ">>", "2>", "&", ";;", "#"})


def commands_of(script: str) -> Iterator[list[str]]:
    """Yield the arguments of every `dse` command of a shell script."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words = list(lexer)
        before = ""
        for index, word in enumerate(words):
            if word == "dse" and before in _STARTS:
                yield arguments(words[index + 1 :])
            before = word


def arguments(words: list[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        if word in _ENDS:
            break
        found.append(word)
    return found


def idle(command: Any) -> Any:
    """Return the command line with the same commands and options, none of which does anything."""
    for below in getattr(command, "commands", {}).values():
        idle(below)
    if not hasattr(command, "commands"):
        command.callback = lambda **_: None
    return command


COMMAND = idle(get_command(app))


def is_taken(args: list[str]) -> bool:
    """Whether `dse` parses the arguments: known command and options, values of the right type."""
    with pytest.raises(SystemExit) as ended:
        COMMAND.main(args, prog_name="dse")
    assert ended.value.code in (0, 2)
    return ended.value.code == 0


def steps_of(workflow: Path) -> list[dict[str, Any]]:
    (job,) = yaml.safe_load(workflow.read_text())["jobs"].values()
    steps = job["steps"]
    assert isinstance(steps, list)
    return steps


def scripts_of(workflow: Path) -> list[str]:
    return [step["run"] for step in steps_of(workflow) if "run" in step]


def fenced(text: str) -> list[str]:
    """Return the shell blocks of a Markdown text; of a console block the lines after `$`."""
    found = []
    for language, body in re.findall(r"^ *```(sh|console)\n(.*?)^ *```", text, re.S | re.M):
        lines = body.splitlines()
        if language == "console":
            lines = [line.lstrip()[2:] for line in lines if line.lstrip().startswith("$ ")]
        found.append("\n".join(lines))
    return found


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=["ours", "template"])
def test_a_workflow_runs_the_three_gates_and_each_command_parses(workflow: Path) -> None:
    found = [args for script in scripts_of(workflow) for args in commands_of(script)]
    for args in found:
        assert is_taken(args), args
    assert [args for args in found if args[0] != "models"] == [
        ["check"],
        ["replay", "--all", "--mode", "strict"],
        next(args for args in found if args[0] == "eval"),
    ]
    (measured,) = [args for args in found if args[0] == "eval"]
    assert measured[measured.index("--against") + 1] == "active@$BASE"
    assert measured[measured.index("--max-regression") + 1] == "0.05"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=["ours", "template"])
def test_a_workflow_may_only_read_and_puts_no_name_of_others_into_a_script(workflow: Path) -> None:
    read = yaml.safe_load(workflow.read_text())
    assert read["permissions"] == {"contents": "read"}
    for script in scripts_of(workflow):
        # What is between ${{ }} is pasted into the script: a branch name could be one.
        inside = re.findall(r"\$\{\{(.*?)\}\}", script)
        assert not inside, script
    for step in steps_of(workflow):
        assert "run" in step or re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", step["uses"])


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=["ours", "template"])
def test_the_scripts_of_a_workflow_are_bash(workflow: Path) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    for script in scripts_of(workflow):
        done = subprocess.run(
            [bash, "-n"], input=script, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), script


def test_every_command_in_the_ci_docs_and_scripts_parses() -> None:
    texts = fenced((ROOT / "docs" / "ci.md").read_text())
    found = [args for text in texts for args in commands_of(text)]
    assert len(found) >= 3
    for args in found:
        assert is_taken(args), args
    # In .ci/run the command is written "$CLEAN/bin/dse".
    script = (ROOT / ".ci" / "run").read_text().replace('"$CLEAN/bin/dse"', "; dse")
    ours = [args for args in commands_of(script) if args]
    assert ["replay", "--all", "--mode", "strict"] in ours
    for args in ours:
        assert is_taken(args), args


@pytest.mark.parametrize(
    "line",
    [
        "dse chek",
        "dse check --fixx",
        "dse replay --all --mode stricct",
        "cd x && dse eval",
        "dse eval a b --against active",
    ],
)
def test_a_command_that_does_not_exist_is_found(line: str) -> None:
    (args,) = commands_of(line)
    assert not is_taken(args)
