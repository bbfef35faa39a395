"""What is shipped: bounded dependencies, a lock that names no place, files that name no machine."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"

# Import name -> the distribution that we declare for it, where they differ.
DISTRIBUTIONS = {
    "json_repair": "json-repair",
    "jsonschema_rs": "jsonschema-rs",
    "pydantic_core": "pydantic",  # which pins it exactly
    "yaml": "pyyaml",
}

# Spelled in two parts, so that this file does not find itself.
LOCAL_PATHS = tuple("/" + name for name in ("work/", "tmp/w", "home/", "root/", "Users/"))


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None
    return match.group().lower().replace("_", "-")


def runtime_requirements(pyproject: dict[str, Any]) -> list[str]:
    project = pyproject["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    return [*project["dependencies"], *(one for extra in extras.values() for one in extra)]


def direct_requirements(pyproject: dict[str, Any]) -> list[str]:
    dev: list[str] = pyproject["dependency-groups"]["dev"]
    return runtime_requirements(pyproject) + dev


def locked_versions() -> dict[str, str]:
    pinned = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.M)
    return dict(pinned)


def text_files() -> list[Path]:
    """Return what git tracks or would track, without what is not text."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file() and b"\0" not in path.read_bytes()[:8192]]


def top_level_imports() -> set[str]:
    found: set[str] = set()
    for path in (ROOT / "dse_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"dse_cli"}


# --- dependencies -------------------------------------------------------------------------------


def test_every_direct_dependency_has_a_lower_and_an_upper_bound(pyproject: dict[str, Any]) -> None:
    unbounded = [
        one for one in direct_requirements(pyproject) if not re.search(r">=.+,\s*<[^,=]+$", one)
    ]
    assert unbounded == []


def test_every_direct_dependency_is_defended_in_one_line(pyproject: dict[str, Any]) -> None:
    table = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    defended = set(re.findall(r"^\| `([^`]+)` \| \S", table, re.M))
    assert defended == {name_of(one) for one in direct_requirements(pyproject)}


def test_what_the_package_imports_is_what_it_declares(pyproject: dict[str, Any]) -> None:
    declared = {name_of(one) for one in runtime_requirements(pyproject)}
    imported = {DISTRIBUTIONS.get(name, name) for name in top_level_imports()}
    assert imported == declared


def test_the_bad_releases_of_litellm_can_not_be_installed(pyproject: dict[str, Any]) -> None:
    [litellm] = [one for one in direct_requirements(pyproject) if name_of(one) == "litellm"]
    lower = re.search(r">=(\d+)\.(\d+)", litellm)
    assert lower is not None
    assert (int(lower[1]), int(lower[2])) >= (1, 84)


# --- the lock -----------------------------------------------------------------------------------


def test_the_lock_pins_every_direct_dependency(pyproject: dict[str, Any]) -> None:
    assert {name_of(one) for one in direct_requirements(pyproject)} <= set(locked_versions())


def test_every_pin_of_the_lock_has_a_hash() -> None:
    blocks = re.split(r"^(?=[A-Za-z0-9])", LOCK.read_text(encoding="utf-8"), flags=re.M)[1:]
    assert len(blocks) == len(locked_versions())
    bare = [block.split("\n")[0] for block in blocks if "--hash=sha256:" not in block]
    assert bare == []


def test_the_lock_names_no_index_and_no_path() -> None:
    text = LOCK.read_text(encoding="utf-8")
    named = re.findall(r"\S+://\S*|^-\S.*|.*(?:--(?:index|extra|find|trusted)|@ ).*", text, re.M)
    assert named == []


# --- what git carries ---------------------------------------------------------------------------


def test_no_tracked_file_names_a_folder_of_some_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in text_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if any(re.search(rf"(?<![\w.]){word}", line) for word in LOCAL_PATHS)
    ]
    assert found == []


def test_every_tracked_text_file_is_utf8_with_unix_line_ends() -> None:
    assert [str(path) for path in text_files() if b"\r\n" in path.read_bytes()] == []


def test_the_version_is_written_once(pyproject: dict[str, Any]) -> None:
    import dse_cli

    assert pyproject["project"]["dynamic"] == ["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{dse_cli.__version__}]" in changelog


# --- the wheel ----------------------------------------------------------------------------------


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(tmp_path: Path) -> None:
    import zipfile

    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "dse_cli").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "dse_cli/py.typed" in source
    assert {name for name in shipped if ".dist-info/" not in name} == source
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in shipped)
    [points] = [name for name in shipped if name.endswith("entry_points.txt")]
    assert "dse = dse_cli.cli.main:main" in zipfile.ZipFile(wheel).read(points).decode()
