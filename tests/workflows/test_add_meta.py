"""`dse init --meta`: what ships, and that it touches nothing that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.errors import UsageError
from dse_cli.optimizers.proposals.meta_signatures import META_NAMES, shipped_signature
from dse_cli.project.project import Project
from dse_cli.project.specs import load_signature
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.init import add_meta, init_project


def test_an_added_meta_signature_is_the_shipped_one_and_sound(tmp_path: Path) -> None:
    init_project(tmp_path)
    for name in META_NAMES:
        own, files = add_meta(tmp_path, name)
        assert files == [f"signatures/{own}/signature.yaml"]
        loaded = load_signature(Project.open(root=tmp_path), own)
        assert loaded.signature.contract_hashes == shipped_signature(name).contract_hashes

    assert check_project(Project.open(root=tmp_path)) == []


def test_nothing_that_is_there_is_overwritten(tmp_path: Path) -> None:
    init_project(tmp_path)
    add_meta(tmp_path, "propose_instruction")
    file = tmp_path / "signatures/propose-instruction/signature.yaml"
    file.write_text("mine", encoding="utf-8")

    with pytest.raises(UsageError, match="there is already"):
        add_meta(tmp_path, "propose_instruction")
    assert file.read_text(encoding="utf-8") == "mine"


def test_an_unknown_name_has_a_hint(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as error:
        add_meta(tmp_path, "propose-instruction")

    assert error.value.hint == "did you mean 'propose_instruction'?"
