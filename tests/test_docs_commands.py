"""The runner of documented commands: what it runs, and that it can fail."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "docs_commands.py"


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_commands", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def marked(body: str, *, mark: str = "<!-- ci -->", language: str = "console") -> str:
    return f"Text.\n\n{mark}\n```{language}\n{body}\n```\n"


def test_only_marked_blocks_are_run(docs: ModuleType) -> None:
    text = "```console\n$ rm -rf everything\n```\n" + marked("$ true")
    assert [block.commands for block in docs.blocks_of(text, "README.md")] == [("true",)]


def test_the_output_shown_in_a_console_block_is_not_a_command(docs: ModuleType) -> None:
    [block] = docs.blocks_of(marked("$ dse check\nall is well\n$ dse list"), "README.md")
    assert block.commands == ("dse check", "dse list")


def test_a_shell_block_skips_comments_and_joins_continued_lines(docs: ModuleType) -> None:
    [block] = docs.blocks_of(marked("# set up\ndse eval a \\\n  --json\n", language="sh"), "a.md")
    assert block.commands == ("dse eval a \\\n  --json",)


def test_a_block_is_named_by_file_and_line(docs: ModuleType) -> None:
    [block] = docs.blocks_of(marked("$ true"), "README.md")
    assert block.where == "README.md:4"


@pytest.mark.parametrize(
    "text",
    [
        "<!-- ci: exits 1 -->\n```console\n$ true\n```\n",
        "<!-- ci: exit 1 same -->\n```console\n$ true\n```\n",
        "<!-- ci -->\n\n```console\n$ true\n```\n",
        "<!-- ci -->\n```python\nx = 1\n```\n",
        "<!-- ci -->\n```console\n$ true\n",
        "<!-- ci -->\n```console\nonly output\n```\n",
        "<!-- ci -->\n```sh\ncat <<X\nX\n```\n",
        "<!-- ci -->",
    ],
)
def test_a_mark_that_runs_nothing_is_an_error(docs: ModuleType, text: str) -> None:
    with pytest.raises(docs.MalformedDocsError):
        list(docs.blocks_of(text, "README.md"))


@pytest.mark.parametrize(
    ("body", "mark", "kept"),
    [
        ("$ true", "<!-- ci -->", True),
        ("$ false", "<!-- ci -->", False),
        ("$ (exit 3)", "<!-- ci: exit 3 -->", True),
        ("$ true", "<!-- ci: exit 3 -->", False),
        ("$ false\n$ true", "<!-- ci -->", False),
        ("$ false\n$ false", "<!-- ci: exit 1 -->", False),
        ("$ false | true", "<!-- ci -->", False),
        ("$ echo a; echo b\na\nb", "<!-- ci: same -->", True),
        ("$ echo a; echo b >&2\na\nb\n$ true", "<!-- ci: same -->", True),
        ("$ echo a; echo b\na", "<!-- ci: same -->", False),
        ("$ echo a; echo b\n...\nb", "<!-- ci: same -->", True),
        ("$ echo a\na\n...", "<!-- ci: same -->", True),
        ("$ echo a; (exit 4)\na", "<!-- ci: exit 4, same -->", True),
        ("$ echo a; (exit 4)\nb", "<!-- ci: exit 4, same -->", False),
        ("$ mkdir inner && cd inner\n$ test $(basename $PWD) = inner", "<!-- ci -->", True),
    ],
)
def test_a_block_keeps_its_promise_or_fails(
    docs: ModuleType, tmp_path: Path, body: str, mark: str, kept: bool
) -> None:
    [block] = docs.blocks_of(marked(body, mark=mark), "README.md")
    assert (docs.failure_of(block, tmp_path, 30.0) is None) is kept


def test_every_block_runs_even_after_a_failure(
    docs: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(marked("$ false") + marked("$ echo second"), encoding="utf-8")
    assert docs.main(["--cwd", str(tmp_path), str(readme)]) == 1
    assert "2 commands in 2 blocks, 1 blocks failed" in capfd.readouterr().out


def test_documents_without_a_marked_block_are_refused(docs: ModuleType, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("Nothing to run.\n", encoding="utf-8")
    assert docs.main([str(readme)]) == 2
