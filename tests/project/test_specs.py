from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError, UsageError
from dse_cli.project.project import Project
from dse_cli.project.specs import (
    MAX_BLOB_BYTES,
    load_dataset_spec,
    load_job,
    load_signature,
    load_signature_spec,
)

SIGNATURE = """\
dse: signature/v1
id: "@acme/support/Route.v1"
description: Route it.
input: {ticket: string}
output:
  queue: {enum: [a, b]}
prompt:
  - instruction: Route it.
  - context: [{key: policy, value: [1]}, {key: handbook, blob: handbook.md}]
  - few_shot:
      - {id: one, input: {ticket: x}, output: {queue: a}}
"""
JOB = """\
dse: compile_job/v1
dataset: support/tickets
reward: {signals: [{exact_match: {field: queue, weight: 1}}]}
models: {main: local}
optimizer: {id: instruction_grid.v1}
budget: {max_metric_calls: 10}
"""
DATASET = """\
dse: dataset/v1
id: support/tickets
files:
  - rows.jsonl
split: {field: split}
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write(tmp_path / "dse.yaml", "dse: project/v1\nmodels: {small: {model: openai/x}}\n")
    write(tmp_path / "signatures/route/signature.yaml", SIGNATURE)
    write(tmp_path / "signatures/route/handbook.md", "Be kind.\n")
    write(tmp_path / "signatures/route/compile.yaml", JOB)
    write(tmp_path / "signatures/route/compile.fast.yaml", JOB + "seed: 9\n")
    write(tmp_path / "datasets/tickets/dataset.yaml", DATASET)
    write(tmp_path / "datasets/tickets/rows.jsonl", "")
    return Project.open(tmp_path, environ={})


def signature_problem(project: Project, old: str, new: str) -> Diagnostic:
    assert old in SIGNATURE
    write(project.paths.signature_file("route"), SIGNATURE.replace(old, new))
    with pytest.raises(SpecError) as caught:
        load_signature(project, "route")
    assert len(caught.value.diagnostics) == 1, caught.value.diagnostics
    found = caught.value.diagnostics[0]
    assert found.file == "signatures/route/signature.yaml"
    return found


def test_a_signature_is_loaded_with_its_texts(project: Project) -> None:
    loaded = load_signature(project, "@acme/support/Route.v1")
    assert loaded.folder == "route"
    assert loaded.signature.blobs == {"handbook.md": "Be kind.\n"}
    spec, document = load_signature_spec(project, "route")
    assert spec == loaded.signature.spec
    assert document.name == "signatures/route/signature.yaml"


def test_an_unknown_type_word_is_found_at_its_place(project: Project) -> None:
    found = signature_problem(project, "{ticket: string}", "{ticket: strng}")
    assert (found.code, found.line, found.column) == ("wrong-type-word", 4, 17)


def test_an_unknown_schema_word_is_found_at_its_key(project: Project) -> None:
    found = signature_problem(project, "{enum: [a, b]}", "{enun: [a, b]}")
    assert (found.code, found.line, found.column) == ("wrong-schema", 6, 11)
    assert found.hint == "did you mean 'enum'?"


def test_a_full_schema_is_checked_too(project: Project) -> None:
    full = "{type: object, properties: {ticket: {type: string, minLength: x}}}"
    found = signature_problem(project, "{ticket: string}", full)
    assert (found.code, found.line) == ("wrong-schema", 4)


def test_a_reference_to_nowhere_is_a_diagnostic(project: Project) -> None:
    full = "{type: object, properties: {ticket: {$ref: '#/$defs/none'}}}"
    assert signature_problem(project, "{ticket: string}", full).code == "wrong-schema"


def test_a_demo_that_does_not_fit_is_found_at_its_value(project: Project) -> None:
    found = signature_problem(project, "output: {queue: a}", "output: {queue: c}")
    assert (found.code, found.line, found.column) == ("demo-does-not-fit", 11, 55)


def test_two_demos_with_one_id_are_refused(project: Project) -> None:
    line = "      - {id: one, input: {ticket: x}, output: {queue: a}}\n"
    found = signature_problem(project, line, line + line)
    assert (found.code, found.line) == ("duplicate-id", 12)


@pytest.mark.parametrize("blob", ["../../../x", "/etc/passwd", "~/x"])
def test_a_blob_outside_the_project_is_refused(project: Project, blob: str) -> None:
    found = signature_problem(project, "handbook.md", blob)
    assert (found.code, found.line) == ("path-refused", 9)
    assert blob in (found.source or "")


def test_a_blob_that_is_missing_or_too_large_is_a_diagnostic(project: Project) -> None:
    path = project.paths.signature("route") / "handbook.md"
    path.write_bytes(b"x" * (MAX_BLOB_BYTES + 1))
    with pytest.raises(SpecError, match="larger than the limit"):
        load_signature(project, "route")
    path.unlink()
    with pytest.raises(SpecError) as caught:
        load_signature(project, "route")
    assert caught.value.diagnostics[0].file == "signatures/route/handbook.md"


def test_a_job_and_its_variant_are_loaded(project: Project) -> None:
    assert load_job(project, "route")[0].seed == 0
    assert load_job(project, "route", "fast")[0].seed == 9


def test_a_missing_job_lists_the_variants(project: Project) -> None:
    with pytest.raises(UsageError) as caught:
        load_job(project, "route", "fsat")
    assert caught.value.hint == "did you mean 'fast'?"
    project.paths.job_file("route").unlink()
    with pytest.raises(UsageError, match=r"has no compile\.yaml"):
        load_job(project, "route")


def test_a_job_with_unknown_dataset_and_model_is_told_both(project: Project) -> None:
    text = JOB.replace("support/tickets", "support/tikets").replace("main: local", "main: smal")
    write(project.paths.job_file("route"), text)
    with pytest.raises(SpecError) as caught:
        load_job(project, "route")
    assert [(p.line, p.code, p.hint) for p in caught.value.diagnostics] == [
        (2, "unknown-dataset", "did you mean 'support/tickets'?"),
        (4, "unknown-model", "did you mean 'small'?"),
    ]


def test_a_dataset_is_loaded_by_its_id(project: Project) -> None:
    spec, document = load_dataset_spec(project, "support/tickets")
    assert spec.files == ("rows.jsonl",)
    assert document.name == "datasets/tickets/dataset.yaml"


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("none.jsonl", "does not exist"),
        ("../../../x.jsonl", "leads out of the project"),
        ("dataset.yaml", "must end in .jsonl"),
        ("rows.jsonl\n  - ./rows.jsonl", "listed twice"),
        ("{path: rows.jsonl, columns: {id: a, input: {x: x}, expected: {y: y}}}", "end in .csv"),
    ],
)
def test_a_dataset_file_that_cannot_be_used_is_a_diagnostic(
    project: Project, entry: str, words: str
) -> None:
    write(project.paths.dataset_file("tickets"), DATASET.replace("rows.jsonl", entry))
    with pytest.raises(SpecError, match=words) as caught:
        load_dataset_spec(project, "tickets")
    assert caught.value.diagnostics[0].line >= 4


def test_a_csv_file_wants_a_column_map(project: Project) -> None:
    write(project.paths.dataset("tickets") / "rows.csv", "id\n")
    write(project.paths.dataset_file("tickets"), DATASET.replace("rows.jsonl", "rows.csv"))
    with pytest.raises(SpecError, match="needs a column map"):
        load_dataset_spec(project, "tickets")
