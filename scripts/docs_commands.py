"""Run the commands that the documentation shows, as a reader would type them.

A fenced ``console`` or ``sh`` block is run when the line above it is ``<!-- ci -->``; its last
command must exit with 0, or with the code of ``<!-- ci: exit 1 -->``, and every command before it
with 0. In a ``console`` block the commands are the lines after ``$``; the rest is what they print.
With the word ``same`` in the mark (``<!-- ci: same -->``, ``<!-- ci: exit 4, same -->``) the output
must be just that, where a line of ``...`` stands for any lines; without it, it is for the reader. A
block is one shell script: ``cd`` and variables last until its end. All blocks start in the working
directory, in the order in which they are found, and leave their files behind for the next one.

    python scripts/docs_commands.py --cwd /some/copy README.md docs/*.md
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile(
    r"<!--\s*ci(?::\s*(?:exit\s+(?P<code>\d{1,3}))?(?:,\s*(?=same))?(?P<same>same)?)?\s*-->"
)
_LOOKS_LIKE_MARK = re.compile(r"<!--\s*ci\b")
_OPEN = re.compile(r"(?P<indent>\s*)```(?P<language>[\w-]*)\s*$")
_LANGUAGES = ("console", "sh")
EARLY_FAILURE = 125
"""Exit code of a block in which a command before the last one failed."""


class MalformedDocsError(ValueError):
    """A mark that names no block, a block that is not closed, or a block without a command."""


@dataclass(frozen=True, slots=True)
class Block:
    """The commands of one marked block.

    Attributes:
        where: ``file:line`` of the fence, for messages.
        commands: what a reader types, one entry a command, continuation lines joined.
        exit_code: what the last command must exit with, 0 to 255.
        shown: the block as the reader sees it, when the commands must print just that.
    """

    where: str
    commands: tuple[str, ...]
    exit_code: int
    shown: tuple[str, ...] | None = None


def blocks_of(text: str, name: str) -> Iterator[Block]:
    """Yield the marked blocks of one Markdown text, in order.

    Raises:
        MalformedDocsError: a mark can not be read, or is not followed by a block with a command.
    """
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if not _LOOKS_LIKE_MARK.search(line):
            continue
        mark = _MARK.fullmatch(line.strip())
        if mark is None:
            raise MalformedDocsError(
                f"{name}:{index + 1}: write <!-- ci -->, <!-- ci: exit N --> or <!-- ci: same -->"
            )
        fence = index + 1
        opened = _OPEN.match(lines[fence]) if fence < len(lines) else None
        if opened is None or opened["language"] not in _LANGUAGES:
            raise MalformedDocsError(
                f"{name}:{index + 1}: the next line must open a ```console or ```sh block"
            )
        where = f"{name}:{fence + 1}"
        body = _body(lines[fence + 1 :], opened["indent"], where)
        commands = tuple(_commands(body, console=opened["language"] == "console"))
        if not commands:
            raise MalformedDocsError(f"{where}: the block has no command")
        if any("<<" in command for command in commands):
            raise MalformedDocsError(f"{where}: a here-document can not be run; ship the file")
        shown = tuple(body) if mark["same"] else None
        yield Block(where, commands, int(mark["code"] or 0), shown)


def _body(lines: Sequence[str], indent: str, where: str) -> list[str]:
    body: list[str] = []
    for line in lines:
        if line.strip() == "```":
            return body
        body.append(line.removeprefix(indent))
    raise MalformedDocsError(f"{where}: the block is not closed")


def _commands(body: Sequence[str], *, console: bool) -> Iterator[str]:
    """Yield whole commands: a line, with the lines that a final backslash joins to it."""
    command: list[str] = []
    for line in body:
        if not command:
            if console and not line.startswith("$ "):
                continue  # what a command prints
            line = line.removeprefix("$ ") if console else line  # noqa: PLW2901
            if not line.strip() or line.lstrip().startswith("#"):
                continue
        command.append(line)
        if not line.endswith("\\"):
            yield "\n".join(command)
            command = []
    if command:
        yield "\n".join(command).removesuffix("\\")


def script_of(block: Block) -> str:
    """Return the shell script of a block: each command is printed, then run.

    A command before the last that fails ends the script with ``EARLY_FAILURE``, so that it can not
    pass for the exit code that the last one promises.
    """
    lines = ["set -uo pipefail", f"trap 'exit {EARLY_FAILURE}' ERR"]
    *before, last = block.commands
    for command in before:
        lines += [_printed(command), command]
    lines += [_printed(last), "trap - ERR", last]
    return "\n".join(lines) + "\n"


def _printed(command: str) -> str:
    return f"printf '$ %s\\n' {shlex.quote(command)}"


def failure_of(block: Block, cwd: Path, timeout_s: float) -> str | None:
    """Run a block in ``cwd`` for at most ``timeout_s`` seconds; return why it failed, or None."""
    try:
        done = subprocess.run(
            ["bash", "-c", script_of(block)],
            cwd=cwd,
            env={**os.environ, "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            stdout=None if block.shown is None else subprocess.PIPE,
            stderr=None if block.shown is None else subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{block.where}: not done after {timeout_s:g} s"
    if block.shown is not None:
        print(done.stdout, end="", flush=True)
    if done.returncode == EARLY_FAILURE != block.exit_code:
        return f"{block.where}: a command before the last failed"
    if done.returncode != block.exit_code:
        return f"{block.where}: exit code {done.returncode}, the docs promise {block.exit_code}"
    if block.shown is not None and not is_as_shown(block.shown, done.stdout.rstrip().splitlines()):
        return f"{block.where}: the commands print something else than the docs show"
    return None


def is_as_shown(shown: Sequence[str], printed: Sequence[str]) -> bool:
    """Tell whether lines were printed as shown, where ``...`` stands for any lines, or none."""
    pattern = "".join(
        r"(?:.*\n)*?" if line.strip() == "..." else re.escape(line.rstrip()) + r"\n"
        for line in shown
    )
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed)) is not None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run every marked block; return 0 when all kept their promise, 1 when not, 2 for bad docs."""
    parser = argparse.ArgumentParser(description="Run the marked commands of Markdown files.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--cwd", type=Path, default=Path(), help="where every block starts")
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds for one block")
    parser.add_argument("--list", action="store_true", help="print the commands, run nothing")
    options = parser.parse_args(arguments)
    try:
        blocks = [
            block
            for file in options.files
            for block in blocks_of(file.read_text(encoding="utf-8"), file.name)
        ]
    except (MalformedDocsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if not blocks:
        print("no block is marked <!-- ci -->", file=sys.stderr)
        return 2
    failures: list[str] = []
    for block in blocks:
        print(f"# {block.where}", flush=True)
        if options.list:
            print(*block.commands, sep="\n")
        elif failure := failure_of(block, options.cwd, options.timeout):
            failures.append(failure)
            print(failure, file=sys.stderr, flush=True)
    commands = sum(len(block.commands) for block in blocks)
    print(f"{commands} commands in {len(blocks)} blocks, {len(failures)} blocks failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
