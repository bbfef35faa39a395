from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.project.project import Project


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "dse.yaml", "dse: project/v1\n")
    write(tmp_path / "signatures" / "route" / "signature.yaml", 'id: "@a/b/Route.v1"\n')
    write(tmp_path / "signatures" / "broken" / "signature.yaml", "id: [\n")
    write(tmp_path / "signatures" / "route" / "compile.yaml", "")
    write(tmp_path / "signatures" / "route" / "compile.slow.yaml", "")
    write(tmp_path / "signatures" / "route" / "compile.fast.yaml", "")
    write(tmp_path / "signatures" / "no-signature" / "README.md", "")
    write(tmp_path / "datasets" / "tickets" / "dataset.yaml", "id: support/tickets\n")
    return tmp_path


def test_a_project_lists_what_it_holds(root: Path) -> None:
    project = Project.open(root / "signatures", environ={})
    assert project.root == root.resolve()
    assert project.signature_names() == ["broken", "route"]
    assert project.dataset_names() == ["tickets"]
    assert project.job_variants("route") == [None, "fast", "slow"]
    assert project.job_variants("broken") == []


def test_an_empty_project_holds_nothing(tmp_path: Path) -> None:
    write(tmp_path / "dse.yaml", "dse: project/v1\n")
    project = Project.open(tmp_path, environ={})
    assert (project.signature_names(), project.dataset_names()) == ([], [])


def test_a_broken_neighbour_is_no_obstacle(root: Path) -> None:
    project = Project.open(root, environ={})
    assert project.resolve_signature("route") == "route"
    assert project.resolve_signature("@a/b/Route.v1") == "route"
    assert project.resolve_signature("broken") == "broken"


def test_a_dataset_is_found_by_id_or_folder_but_not_by_prefix(root: Path) -> None:
    project = Project.open(root, environ={})
    assert project.resolve_dataset("support/tickets") == "tickets"
    assert project.resolve_dataset("tickets") == "tickets"
    with pytest.raises(UsageError):
        project.resolve_dataset("support/t")


def test_a_folder_with_an_odd_name_is_a_diagnostic(root: Path) -> None:
    write(root / "signatures" / "Route Two" / "signature.yaml", "")
    with pytest.raises(SpecError) as caught:
        Project.open(root, environ={}).signature_names()
    (found,) = caught.value.diagnostics
    assert (found.code, found.file) == ("invalid-folder", "signatures/Route Two/signature.yaml")


def test_a_folder_that_links_out_of_the_project_is_a_diagnostic(root: Path, tmp_path: Path) -> None:
    outside = tmp_path.parent / (tmp_path.name + "-outside")
    write(outside / "signature.yaml", "")
    (root / "signatures" / "linked").symlink_to(outside)
    with pytest.raises(SpecError, match="leads out of the project"):
        Project.open(root, environ={}).signature_names()


def test_a_wrong_project_file_is_a_spec_error_with_its_line(root: Path) -> None:
    write(root / "dse.yaml", "dse: project/v1\nmodles: {}\n")
    with pytest.raises(SpecError) as caught:
        Project.open(root, environ={})
    assert (caught.value.diagnostics[0].file, caught.value.diagnostics[0].line) == ("dse.yaml", 2)
