from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import ExitCode, SpecError
from dse_cli.optimizers.proposals.meta_signatures import shipped_signature
from dse_cli.project.project import Project
from dse_cli.registry.findings import AlteredFileError
from dse_cli.workflows.checks.check import check_project, gravest
from dse_cli.workflows.compiles.compile_outputs import dependencies
from dse_cli.workflows.inputs import JobInputs
from tests.workflows.desk import GRID, edit, inputs_of
from tests.workflows.proposals.studio import (
    JOB,
    OWN,
    add_proposer,
    compile_one,
    line_of,
    make_studio,
    override,
    studio_model,
)


@pytest.fixture
def studio(tmp_path: Path) -> Project:
    return make_studio(tmp_path)


@pytest.fixture
def own(studio: Project) -> Project:
    add_proposer(studio)
    return studio


def problems(project: Project) -> list[Diagnostic]:
    with pytest.raises((SpecError, AlteredFileError)) as error:
        inputs_of(project)
    return list(error.value.diagnostics)


def only(project: Project) -> Diagnostic:
    [found] = problems(project)
    return found


def pin(project: Project) -> str:
    """Compile the project's proposer and return the first digits of its id."""
    result = compile_one(project, studio_model(), "my-proposer")
    return result.outputs.artifact.compiled_id[7:19]


def named(inputs: JobInputs) -> dict[str, str]:
    return {one.name: one.digest.sha256 for one in dependencies(inputs)}


# --- what is asked ------------------------------------------------------------------------------


def test_shipped_meta_signatures_run_on_the_main_model_unless_a_proposer_is_named(
    studio: Project,
) -> None:
    plain = inputs_of(studio)
    edit(studio, JOB, "  main: desk\n", "  main: desk\n  proposer: muse\n")
    other = inputs_of(studio)

    assert [meta.name for meta in plain.meta] == ["propose_instruction", "refine_instruction"]
    assert {meta.model() for meta in plain.meta} == {"openai/desk"}
    assert {meta.model() for meta in other.meta} == {"openai/muse"}
    assert other.models["proposer"] == "openai/muse"
    assert other.run_inputs["models"]["proposer"]["model"] == "openai/muse"
    assert plain.run_inputs_hash != other.run_inputs_hash


def test_an_optimizer_that_asks_nothing_has_no_meta_and_its_run_is_named_as_before(
    tmp_path: Path,
) -> None:
    inputs = inputs_of(make_studio(tmp_path, **GRID))

    assert inputs.meta == ()
    assert "meta" not in inputs.run_inputs
    assert set(inputs.models) == {"main", "repair"}
    assert not any(name.startswith("meta:") for name in named(inputs))


def test_every_asked_policy_is_pinned_by_hash_in_run_and_receipt(studio: Project) -> None:
    inputs = inputs_of(studio)

    pinned = {f"meta:{meta.name}/policy": meta.policy.id for meta in inputs.meta}
    assert len(pinned) == 2
    assert {f"sha256:{named(inputs)[name]}" for name in pinned} == set(pinned.values())
    asked = inputs.run_inputs["meta"]
    assert {name: one["compiled_id"] for name, one in asked.items()} == {
        meta.name: meta.policy.id for meta in inputs.meta
    }


def test_a_signature_of_the_project_stands_in_as_authored(own: Project) -> None:
    before = inputs_of(own)
    override(own)
    inputs = inputs_of(own)

    [meta] = [meta for meta in inputs.meta if meta.name == "propose_instruction"]
    assert meta.policy.signature.id == "@test/desk/MyProposer.v1"
    assert (meta.artifact, meta.model()) == (None, "openai/desk")
    assert inputs.run_inputs_hash != before.run_inputs_hash


def test_a_compiled_proposer_stands_in_with_the_model_that_it_is_pinned_to(own: Project) -> None:
    override(own, artifact=pin(own))
    inputs = inputs_of(own)

    [meta] = [meta for meta in inputs.meta if meta.name == "propose_instruction"]
    assert meta.model() == "openai/muse"
    assert meta.pins_model
    assert meta.artifact is not None
    assert f"sha256:{named(inputs)['meta:propose_instruction/artifact']}" == meta.digest
    # The other one is still asked on the job's own model.
    assert inputs.models["proposer"] == "openai/desk"


def test_a_changed_override_is_another_run(own: Project) -> None:
    override(own)
    before = named(inputs_of(own))
    edit(own, OWN, "our way", "our own way")

    after = named(inputs_of(own))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"meta:propose_instruction/policy"}


# --- what is wrong ------------------------------------------------------------------------------


def test_an_unknown_signature_is_an_error_at_its_line_with_a_hint(own: Project) -> None:
    override(own)
    edit(own, JOB, "signature: my-proposer", "signature: my-propser")

    found = only(own)
    assert (found.file, found.line) == (JOB, line_of(own, "my-propser"))
    assert (found.code, found.hint) == ("unknown-meta", "did you mean 'my-proposer'?")


@pytest.mark.parametrize(
    ("changes", "text", "words"),
    [
        ({"input": {"rows": "string"}}, "rows:", "is given no field 'rows'"),
        ({"input": {"tip": "integer"}}, "tip:", "is given a text as 'tip', without limits"),
        (
            {"input": {"tip": {"type": "string", "maxLength": 9}}},
            "tip:",
            "is given a text as 'tip', without limits",
        ),
        ({"input": {"task_demos": "string"}}, "task_demos:", "a list of texts as 'task_demos'"),
        ({"output": {"text": "string"}}, "output:", "must answer 'instruction'"),
        ({"output": {"instruction": "integer"}}, "instruction: integer", "must hold a text"),
        (
            {"output": {"instruction": {"type": "string", "optional": True}}},
            "  instruction:",
            "must always hold 'instruction'",
        ),
    ],
)
def test_an_override_that_does_not_fit_is_an_error_in_its_own_file(
    own: Project, changes: dict[str, Any], text: str, words: str
) -> None:
    add_proposer(own, **changes)
    override(own)

    found = only(own)
    assert found.code == "bad-meta"
    assert words in found.message
    assert found.file == OWN
    assert found.line == line_of(own, text, OWN)
    assert found.hint


def test_a_full_schema_may_not_need_what_nobody_supplies(own: Project) -> None:
    schema = {"type": "object", "properties": {"tip": {"type": "string"}}, "required": ["mood"]}
    add_proposer(own, input=schema)
    override(own)

    assert "no field 'mood'" in only(own).message


def test_a_full_schema_may_not_restrict_the_input_as_a_whole(own: Project) -> None:
    schema = {"type": "object", "properties": {"tip": {"type": "string"}}, "minProperties": 2}
    add_proposer(own, input=schema)
    override(own)

    assert "'minProperties' restricts the input" in only(own).message


def test_all_problems_are_said_at_once(own: Project) -> None:
    add_proposer(own, input={"rows": "string", "mood": "string"}, output={"text": "string"})
    override(own)

    assert len(problems(own)) == 3


def test_an_unknown_artifact_says_how_to_make_one(own: Project) -> None:
    override(own, artifact="0123456789ab")

    found = only(own)
    assert (found.code, found.line) == ("unknown-artifact", line_of(own, "0123456789ab"))
    assert "dse compile my-proposer" in str(found.hint)


def test_a_stale_artifact_is_an_error_at_its_line(own: Project) -> None:
    override(own, artifact=pin(own))
    edit(own, OWN, "our way", "our own way")

    found = only(own)
    assert (found.code, found.outcome) == ("stale-meta", "stale")
    assert found.line == line_of(own, "artifact:")


def test_an_altered_artifact_is_an_error_of_integrity(own: Project) -> None:
    override(own, artifact=pin(own))
    [file] = (own.root / "artifacts/my-proposer/compiled").iterdir()
    file.write_text(file.read_text(encoding="utf-8").replace('"jsonish"', '"x"').replace(
        "openai/muse", "openai/fuse"), encoding="utf-8")  # fmt: skip

    found = only(own)
    assert (found.code, found.outcome) == ("altered-meta", "altered")


def test_a_pin_to_a_model_that_the_project_lost_is_an_error(own: Project) -> None:
    override(own, artifact=pin(own))
    edit(own, "signatures/my-proposer/compile.yaml", "main: muse", "main: desk")
    edit(
        own, "dse.yaml", "  muse:\n    model: openai/muse\n", "  mused:\n    model: openai/mused\n"
    )

    found = only(own)
    assert found.code == "unknown-model"
    assert "openai/muse" in found.message


def test_an_unknown_meta_signature_is_refused_with_the_known_ones(own: Project) -> None:
    override(own)
    edit(own, JOB, "propose_instruction:", "propose_instructions:")

    found = only(own)
    assert found.line == line_of(own, "propose_instructions:")


# --- dse check ----------------------------------------------------------------------------------


def test_check_finds_nothing_wrong_with_a_sound_override(own: Project) -> None:
    override(own, artifact=pin(own))

    assert gravest(check_project(Project.open(root=own.root))) == ExitCode.DONE


def test_check_reports_a_broken_override_once(own: Project) -> None:
    add_proposer(own, output={"text": "string"})
    override(own)

    found = [one for one in check_project(Project.open(root=own.root)) if one.code == "bad-meta"]
    assert len(found) == 1


def test_every_shipped_signature_could_stand_in_for_itself(own: Project) -> None:
    from dse_cli.optimizers.proposals.meta_signatures import META_NAMES
    from dse_cli.workflows.proposals.meta_checks import override_problems

    for name in META_NAMES:
        assert list(override_problems(name, shipped_signature(name))) == []
