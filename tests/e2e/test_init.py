"""`dse init` leaves a project that works, and touches nothing that was there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.optimizers.proposals.meta_signatures import META_NAMES
from dse_cli.project.project import Project
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.init import SIGNATURE, init_project
from tests.e2e.desk import DeskServer
from tests.e2e.running import ROOT, Zygote, environment, git
from tests.lm.openai_server import Reply, Seen, answer

WRITTEN = [
    ".gitattributes",
    ".github/workflows/dse.yml",
    ".gitignore",
    f"datasets/{SIGNATURE}/dataset.yaml",
    f"datasets/{SIGNATURE}/examples.jsonl",
    "dse.yaml",
    f"signatures/{SIGNATURE}/compile.yaml",
    f"signatures/{SIGNATURE}/signature.yaml",
]


def test_a_new_project_is_sound(tmp_path: Path) -> None:
    assert init_project(tmp_path / "new") == WRITTEN
    found = sorted(path for path in (tmp_path / "new").rglob("*") if path.is_file())
    assert [path.relative_to(tmp_path / "new").as_posix() for path in found] == sorted(WRITTEN)
    assert check_project(Project.open(root=tmp_path / "new")) == []


def test_its_dataset_is_large_enough_and_its_labels_are_balanced(tmp_path: Path) -> None:
    init_project(tmp_path)
    text = (tmp_path / f"datasets/{SIGNATURE}/examples.jsonl").read_text()
    rows = [json.loads(line) for line in text.splitlines()]
    splits = [row["split"] for row in rows]
    assert len(rows) >= 40
    assert splits.count("holdout") >= 12
    assert len({row["input"]["review"] for row in rows}) == len(rows)
    for split in ("train", "val", "holdout"):
        labels = [row["expected"]["intent"] for row in rows if row["split"] == split]
        counts = {labels.count(label) for label in labels}
        assert len(counts) == 1, split


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_is_there_is_named_and_nothing_is_written(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(UsageError, match="nothing was written") as error:
        init_project(tmp_path)
    assert error.value.message.endswith(f": {name}")
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == [path]
    assert path.read_text() == "mine"


@pytest.mark.parametrize("target", ["dse.yaml", "signatures", "."])
def test_no_link_and_no_file_in_place_of_a_folder_is_followed(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "project"
    if target == ".":
        folder.write_text("a file")
    else:
        folder.mkdir()
        (folder / target).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="nothing was written"):
        init_project(folder)
    assert not (tmp_path / "elsewhere").exists()


def test_the_command_names_the_files_and_the_next_step(tmp_path: Path, zygote: Zygote) -> None:
    env = environment(tmp_path)
    ran = zygote.run("init", "new", cwd=tmp_path, env=env)
    assert ran.stdout.splitlines() == WRITTEN
    assert f"cd new, then dse check, then dse compile {SIGNATURE}" in ran.stderr
    again = zygote.run("init", "new", "--json", cwd=tmp_path, env=env, code=2)
    assert again.document["outcome"] == "usage"
    assert "dse.yaml" in again.document["message"]


def test_the_new_project_compiles_promotes_and_passes_its_own_workflow(
    tmp_path: Path, zygote: Zygote, server: DeskServer
) -> None:
    env = environment(tmp_path)
    zygote.run("init", cwd=tmp_path, env=env)
    # The loopback model stands in for the embedded one.
    alias = f"models:\n  local-test: {{model: openai/test-model, api_base: {server.base}}}\n"
    spec = tmp_path / "dse.yaml"
    text = spec.read_text().replace("default_model: local", f"{alias}default_model: local-test")
    spec.write_text(text)
    job = tmp_path / f"signatures/{SIGNATURE}/compile.yaml"
    job.write_text(job.read_text().replace("main: local", "main: local-test"))
    truth = {
        json.dumps(row["input"]["review"]): row["expected"]["intent"]
        for line in (tmp_path / f"datasets/{SIGNATURE}/examples.jsonl").read_text().splitlines()
        if (row := json.loads(line))
    }

    def rule(seen: Seen) -> Reply:
        messages = seen.body["messages"]
        review = json.dumps(json.loads(messages[-1]["content"])["review"])
        knows = "praise: is happy" in messages[0]["content"]
        return answer(json.dumps({"intent": truth[review] if knows else "praise"}))

    server.rule = rule
    compiled = zygote.run("compile", SIGNATURE, "--json", cwd=tmp_path, env=env).document
    assert compiled["outcome"] == "compiled"
    zygote.run("promote", SIGNATURE, "--latest", cwd=tmp_path, env=env)
    said = run_workflow(tmp_path, env)
    assert "sound" in said
    assert "the same bytes" in said
    assert "1 receipt replayed" in said
    assert "active@main" in said


def run_workflow(project: Path, env: dict[str, str]) -> str:
    """Run the steps of the project's own workflow as for a pull request, and return what they say.

    Not those that fetch dse or weights.
    """
    git(project, "init", "-q", "-b", "main")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "main")
    git(project, "checkout", "-qb", "pull-request")
    job = project / f"signatures/{SIGNATURE}/compile.yaml"
    job.write_text(job.read_text() + "# touched\n")
    git(project, "commit", "-qam", "touched")
    said = ""
    bash, steps = shutil.which("bash"), workflow_steps(project)
    assert bash is not None
    assert len(steps) == 3
    for step in steps:
        done = subprocess.run(
            [bash, "-e", "-c", 'dse() { "$PYTHON" -m dse_cli "$@"; }\n' + step],
            cwd=project,
            env=env | {"PYTHON": sys.executable, "BASE": "main"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said += done.stdout
    return said


def workflow_steps(project: Path) -> list[str]:
    """Return the scripts of the three gates."""
    import yaml

    workflow = yaml.safe_load((project / ".github/workflows/dse.yml").read_text())
    steps = workflow["jobs"]["prompts"]["steps"]
    scripts = [step["run"] for step in steps if "run" in step]
    return [one for one in scripts if "pip install" not in one and "dse models" not in one]


def test_the_wheel_holds_every_template(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=True,
        timeout=120,
    )
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    home = Path(str(files("dse_cli.workflows") / "templates" / "init"))
    templates = [path.relative_to(ROOT) for path in home.rglob("*") if path.is_file()]
    assert len(templates) == len(WRITTEN)
    assert {path.as_posix() for path in templates} <= packed
    metas = {f"dse_cli/optimizers/proposals/signatures/{name}.yaml" for name in META_NAMES}
    assert metas <= packed
