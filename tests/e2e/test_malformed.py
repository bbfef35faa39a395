"""Wrong versions of every file: a diagnostic with file and line, and never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
from typer.main import get_command

from dse_cli.cli.main import app
from tests.e2e.conftest import Desk
from tests.e2e.desk import NAME
from tests.e2e.mutations import Mutation, generic, specific

CASES = [*generic(), *specific()]
_TABLE = """\
dse: dataset/v1
id: table
files:
  - path: rows.csv
    columns: {id: id, input: {note: note}, expected: {box: box}, split: split}
split: {field: split}
"""
_CSV = "id,note,box,split\nc-1,a red mug,red,train\nc-2,a green mug,green,val\n"
#: Commands that read specs, and those that read what DSE keeps; none calls a model.
SPEC_READERS = [("compile", NAME, "--dry-run"), ("eval", NAME, "--tag", "no-such-tag")]
KEPT_READERS = [("list", NAME), ("show", NAME), ("replay", "RUN", "--mode", "verify")]
COMMAND = get_command(app)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, _promoted: Path) -> Path:
    root = tmp_path_factory.mktemp("malformed") / "project"
    shutil.copytree(_promoted, root, ignore=shutil.ignore_patterns(".git", "cache"))
    (root / "datasets" / "table").mkdir()
    (root / "datasets" / "table" / "dataset.yaml").write_text(_TABLE)
    (root / "datasets" / "table" / "rows.csv").write_text(_CSV)
    return root


@pytest.fixture
def broken(tree: Path, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Path, Mutation]]:
    """The project with one file gone wrong, and that file."""
    mutation: Mutation = request.param
    (path,) = tree.glob(mutation.file)
    before = path.read_bytes()
    after = mutation.change(before)
    assert after != before
    path.write_bytes(after)
    yield tree, path, mutation
    path.write_bytes(before)


def run(root: Path, *args: str) -> tuple[int, str, str]:
    stdout, stderr = StringIO(), StringIO()
    with redirect_stdout(stdout), redirect_stderr(stderr), pytest.raises(SystemExit) as ended:
        COMMAND.main([*args, "--project", str(root)], prog_name="dse")
    code = ended.value.code
    said = stdout.getvalue() + stderr.getvalue()
    assert isinstance(code, int)
    assert code != 70, said
    assert "Traceback" not in said
    return code, stdout.getvalue(), stderr.getvalue()


def test_the_untouched_project_is_sound(tree: Path) -> None:
    assert run(tree, "check") == (0, "sound\n", "")
    assert len(CASES) >= 60


@pytest.mark.parametrize("broken", CASES, indirect=True, ids=str)
def test_check_names_the_file_and_the_line(broken: tuple[Path, Path, Mutation]) -> None:
    root, path, mutation = broken
    code, stdout, stderr = run(root, "check", "--json")
    found = [one for one in json.loads(stdout)["diagnostics"] if one["severity"] == "error"]
    if mutation.found_in:
        (path,) = root.glob(mutation.found_in)
    name = path.relative_to(root).as_posix()
    about = [one for one in found if one["file"] == name]
    assert code == mutation.code, stderr
    assert about, stderr
    assert all(one["message"] for one in about)
    assert name in stderr
    if mutation.is_placed:
        assert any(one["line"] > 0 for one in about), stderr


@pytest.mark.parametrize("broken", CASES, indirect=True, ids=str)
def test_no_command_meets_it_with_a_traceback(broken: tuple[Path, Path, Mutation]) -> None:
    root, _, mutation = broken
    run_name = next((root / "artifacts" / NAME / "receipts").iterdir()).name
    for reader in SPEC_READERS if mutation.code == 2 else KEPT_READERS:
        words = [run_name if word == "RUN" else word for word in reader]
        code, stdout, stderr = run(root, *words, "--json")
        assert code in {0, 1, 2, 4, 5}, (reader, stderr)
        assert json.loads(stdout)["outcome"]
        assert stderr.strip() or code in {0, 1}, reader


@pytest.mark.parametrize(
    ("file", "old", "new", "code"),
    [
        ("dse.yaml", "default_model", "defualt_model", 2),
        (f"signatures/{NAME}/compile.yaml", "exact_match", "exact_macth", 2),
        (f"artifacts/{NAME}/active.yaml", "names it", "hides it", 4),
    ],
)
def test_a_person_sees_the_line_and_a_hint(
    promoted: Desk, file: str, old: str, new: str, code: int
) -> None:
    path = promoted.root / file
    text = path.read_text()
    path.write_text(text.replace(old, new, 1))
    line = text[: text.index(old)].count("\n") + 1
    ran = promoted.fresh("check", code=code)
    assert f"--> {file}:{line}" in ran.stderr
    assert new in ran.stderr
    assert "hint:" in ran.stderr
