"""Every module imports alone, without a warning, and the command line starts light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "dse_cli"

# Half a second to several seconds each: imported by the function that needs them, or never.
HEAVY = frozenset(
    {
        "diskcache",
        "json_repair",
        "jsonschema_rs",
        "litellm",
        "numpy",
        "openai",
        "rapidfuzz",
        "scipy",
        "xllamacpp",
    }
)

# Forks one child a module from an interpreter that holds nothing of dse_cli, so that no import
# can lean on another. Pydantic is warm, because a hundred cold starts of it would take a minute.
IMPORT_EACH_ALONE = """
import importlib, json, os, sys, traceback
import pydantic, yaml
assert not any(name.split(".")[0] == "dse_cli" for name in sys.modules)
failed = []
for module in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        try:
            importlib.import_module(module)
        except BaseException:
            print(module, traceback.format_exc(), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1] != 0:
        failed.append(module)
json.dump(failed, sys.stdout)
"""

MODULES_AFTER = "import json, sys; import {module}; json.dump(sorted(sys.modules), sys.stdout)"


def all_modules() -> list[str]:
    """Return the dotted name of every module of the package."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return [name for name in names if not name.endswith("__main__")]


def run_python(code: str, *, data: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        input=data,
        capture_output=True,
        text=True,
        cwd=PACKAGE.parent,
        check=False,
    )


def modules_after(module: str) -> set[str]:
    done = run_python(MODULES_AFTER.format(module=module))
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout)}


def test_the_package_is_found() -> None:
    assert {"dse_cli", "dse_cli.canonical", "dse_cli.contracts.errors"} <= set(all_modules())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks a clean interpreter for each module")
def test_every_module_imports_alone_and_without_a_warning() -> None:
    done = run_python(IMPORT_EACH_ALONE, data=json.dumps(all_modules()))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [], done.stderr


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert [
        str(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ] == []


@pytest.mark.parametrize("module", ["dse_cli", "dse_cli.cli.main"])
def test_starting_the_command_line_imports_nothing_heavy(module: str) -> None:
    assert modules_after(module) & HEAVY == set()


def test_importing_the_package_does_not_import_its_layers() -> None:
    done = run_python(MODULES_AFTER.format(module="dse_cli"))
    loaded = [name for name in json.loads(done.stdout) if name.startswith("dse_cli")]
    assert loaded == ["dse_cli"]


def test_what_the_package_exports_is_what_it_says() -> None:
    import dse_cli

    assert sorted(dse_cli.__all__) == ["MetricResult", "__version__", "load"]
    assert all(hasattr(dse_cli, name) for name in dse_cli.__all__)
