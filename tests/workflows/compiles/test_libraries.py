"""The libraries that decide a search, and the rows that it looked at, are part of its evidence."""

from __future__ import annotations

import asyncio
import json
from importlib.metadata import version
from pathlib import Path

import pytest

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import NothingSelectedError, SpecError, StaleError
from dse_cli.optimizers.mipro.config import AUTO, AutoSetting
from dse_cli.project.project import Project
from dse_cli.workflows.checks.stale_rows import RowChecks
from dse_cli.workflows.compiles.compile_search import find_optimizer
from dse_cli.workflows.compiles.libraries import library_versions
from dse_cli.workflows.replays.replay import replay_strict
from dse_cli.workflows.session import RunOptions
from tests.workflows.desk import compile_it, inputs_of, make_project
from tests.workflows.searched import job, scripted

VERSION = "dse_cli.workflows.compiles.libraries.version"
SMALL = {"num_candidates": 3, "num_trials": 3, "minibatch": False}


def mipro(root: Path, **config: object) -> Project:
    return make_project(
        root, {**job("mipro"), "optimizer": {"id": "mipro_v2.v1", "config": config}}
    )


def replay(project: Project, run: str) -> int:
    opened = Project.open(root=project.root)
    return asyncio.run(replay_strict(opened, run, RunOptions())).served


def test_a_receipt_names_the_versions_of_the_sampler(tmp_path: Path) -> None:
    receipt = compile_it(mipro(tmp_path, **SMALL), scripted()).outputs.receipt
    builder = receipt.predicate.runDetails.builder
    assert set(builder) == {"dse", "optimizer_revision", "numpy", "optuna"}
    assert {name: builder[name] for name in ("numpy", "optuna")} == library_versions("mipro_v2.v1")


def test_an_optimizer_without_libraries_names_none(tmp_path: Path) -> None:
    receipt = compile_it(make_project(tmp_path), scripted()).outputs.receipt
    assert set(receipt.predicate.runDetails.builder) == {"dse", "optimizer_revision"}
    assert library_versions("nobody.v9") == {}


def test_a_strict_replay_with_another_version_says_which_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = mipro(tmp_path, **SMALL)
    run = compile_it(project, scripted()).outputs.artifact.provenance.run[7:19]
    assert replay(project, run) > 0
    was = library_versions("mipro_v2.v1")["optuna"]
    monkeypatch.setattr(VERSION, lambda name: "9.9.9" if name == "optuna" else version(name))
    with pytest.raises(StaleError) as error:
        replay(project, run)
    assert error.value.message == f"optuna {was} decided this run, 9.9.9 is installed"
    assert f"optuna=={was}" in (error.value.hint or "")


def test_another_version_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = mipro(tmp_path, **SMALL)
    before = inputs_of(project).run_inputs_hash
    monkeypatch.setattr(VERSION, lambda name: "9.9.9")
    assert inputs_of(project).run_inputs_hash != before


def test_the_evidence_is_about_the_rows_that_an_auto_mode_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUTO, "light", AutoSetting(4, 5))
    project = mipro(tmp_path)
    artifact = compile_it(project, scripted()).outputs.artifact
    val = {row.id: row for row in inputs_of(project).rows("val")}
    assert len(artifact.evaluation.rows) == artifact.baseline.n == 5
    looked_at = tuple(val[name] for name in artifact.evaluation.rows)
    assert artifact.provenance.split_hash == rows_hash(looked_at)
    assert artifact.evaluation.split_hash == artifact.provenance.split_hash


def test_settings_that_do_not_fit_the_rows_are_refused_at_their_line(tmp_path: Path) -> None:
    config = {"num_candidates": 3, "num_trials": 3, "minibatch_size": 35}
    with pytest.raises(SpecError) as error:
        find_optimizer(inputs_of(mipro(tmp_path, **config)))
    [found] = error.value.diagnostics
    assert found.message == "a minibatch of 35 rows is more than the 9 of val"
    lines = (tmp_path / "signatures/route/compile.yaml").read_text(encoding="utf-8").splitlines()
    assert "minibatch_size" in lines[found.line - 1]


def test_without_train_rows_there_is_nothing_to_make_demos_of(tmp_path: Path) -> None:
    project = mipro(tmp_path, **SMALL)
    rows = tmp_path / "datasets/tickets/rows.jsonl"
    kept = [line for line in rows.read_text(encoding="utf-8").splitlines() if "train" not in line]
    rows.write_text("\n".join(kept) + "\n", encoding="utf-8")
    with pytest.raises(NothingSelectedError, match="there are none"):
        compile_it(project, scripted())


def test_drawn_rows_are_not_stale_when_a_row_of_another_split_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(AUTO, "light", AutoSetting(4, 5))
    project = mipro(tmp_path)
    artifact = compile_it(project, scripted()).outputs.artifact
    rows = tmp_path / "datasets/tickets/rows.jsonl"
    text = rows.read_text(encoding="utf-8")
    [row] = [json.loads(line) for line in text.splitlines() if '"holdout-00"' in line]
    row["id"] = "holdout-99"
    row["input"] = {"ticket": "a new note for [other]"}
    rows.write_text(text + json.dumps(row) + "\n", encoding="utf-8")
    checks = RowChecks(inputs_of(project), "compile again")
    [found] = checks.findings(artifact, None, None)
    assert "val" not in found.message
    # A row of val that is gone is found all the same.
    measured = next(iter(artifact.evaluation.rows))
    kept = [line for line in text.splitlines() if f'"{measured}"' not in line]
    rows.write_text("\n".join(kept) + "\n", encoding="utf-8")
    messages = [
        one.message for one in RowChecks(inputs_of(project), "").findings(artifact, None, None)
    ]
    assert any(measured in message and "gone" in message for message in messages)
