from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from dse_cli.contracts.errors import (
    AlteredError,
    NothingSelectedError,
    SpecError,
    StaleError,
    UsageError,
)
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.registry.history import previous_promoted, read_history
from dse_cli.registry.pointer import read_active
from dse_cli.report.channel_text import override_text
from dse_cli.workflows.promotion.look import GateTerms
from dse_cli.workflows.promotion.promote import (
    Promotion,
    is_active,
    plan_promotion,
    promote_policy,
    refresh_policy,
)
from dse_cli.workflows.promotion.rollback import rollback_policy
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    HOLDOUT,
    JOBS,
    NAME,
    Counting,
    as_model,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    real,
    scripted,
    tree,
)


def promote(project: Project, word: str, transport: Layer) -> Promotion:
    return asyncio.run(promote_policy(inputs_of(project), word, options(transport)))


def active(project: Project) -> str | None:
    pointer = read_active(inputs_of(project).store)
    return None if pointer is None else pointer.compiled_id


def name_of(artifact_name: str) -> str:
    return artifact_name.removeprefix("compiled/").removesuffix(".json")


def test_a_better_policy_is_promoted_by_the_holdout(project: Project) -> None:
    result = compile_it(project, real())
    counting = Counting(real())
    promotion = promote(project, name_of(result.artifact_name), counting)
    assert promotion.moved
    assert promotion.evidence.verdict == "promote"
    assert (promotion.evidence.comparison.n, promotion.evidence.look) == (HOLDOUT, 1)
    assert promotion.evidence.comparison.delta == pytest.approx(2 / 3)
    assert active(project) == result.outputs.artifact.compiled_id
    assert len(counting.requests) == 2 * HOLDOUT
    asked = [json.loads(r.messages[-1].content)["ticket"] for r in counting.requests]
    assert all(ticket.startswith("holdout note") for ticket in asked)
    assert (project.root / f"artifacts/{NAME}/active.yaml").exists()


def test_evidence_of_a_scripted_model_is_refused_before_the_holdout_is_opened(
    project: Project,
) -> None:
    result = compile_it(project, scripted())
    counting = Counting(real())
    with pytest.raises(UsageError, match="scripted"):
        promote(project, name_of(result.artifact_name), counting)
    assert counting.requests == []
    assert read_history(inputs_of(project).store) == ()


def test_a_scripted_gate_never_moves_the_pointer_and_is_a_look(project: Project) -> None:
    result = compile_it(project, real())
    with pytest.raises(UsageError, match="scripted"):
        promote(project, name_of(result.artifact_name), scripted())
    assert active(project) is None
    (record,) = read_history(inputs_of(project).store)
    assert record.event == "refuse"
    assert "scripted" in (record.reason or "")
    assert promote(project, name_of(result.artifact_name), real()).evidence.look == 2


def test_a_gate_during_which_the_pointer_was_edited_is_a_look(project: Project) -> None:
    name = compile_it(project, real()).artifact_name

    class Meanwhile(Counting):
        async def complete(self, request: LmRequest) -> LmResponse:
            (project.root / f"artifacts/{NAME}/active.yaml").write_text("dse: active/v1\n")
            return await super().complete(request)

    with pytest.raises(AlteredError):
        promote(project, name, Meanwhile(real()))
    records = read_history(inputs_of(project).store)
    assert [(r.event, r.gate is not None) for r in records] == [("refuse", True)]


def test_a_policy_that_changes_nothing_is_refused_and_the_look_is_counted(tmp_path) -> None:
    project = make_project(tmp_path, JOBS["greedy"])
    result = compile_it(project, real())

    name = name_of(result.artifact_name)
    assert active(project) is None
    levels = []
    for look in (1, 2, 3):
        promotion = promote(project, name, dull())
        assert not promotion.moved
        assert promotion.evidence.verdict == "no_change"
        assert promotion.evidence.look == look
        levels.append(promotion.evidence.level)
    assert levels == pytest.approx([0.05 / 2, 0.05 / 6, 0.05 / 12])
    assert active(project) is None
    history = read_history(inputs_of(project).store)
    assert [record.event for record in history] == ["refuse"] * 3
    assert plan_promotion(inputs_of(project), name).look == 4


def test_planning_a_promotion_is_not_a_look(project: Project) -> None:
    name = name_of(compile_it(project, real()).artifact_name)
    for _ in range(3):
        plan = plan_promotion(inputs_of(project), name)
        assert (plan.rows, plan.metric_calls, plan.look) == (HOLDOUT, 2 * HOLDOUT, 1)


def test_a_look_that_the_gate_would_refuse_is_not_planned(tmp_path: Path) -> None:
    project = make_project(tmp_path, JOBS["greedy"])
    name = compile_it(project, real()).artifact_name
    shrink_holdout(project, 6)
    assert plan_promotion(inputs_of(project), name).look == 1
    promote(project, name, dull())
    with pytest.raises(SpecError, match="at least 7 are needed"):
        plan_promotion(inputs_of(project), name)


def shrink_holdout(project: Project, rows: int) -> None:
    path = project.root / "datasets/tickets/rows.jsonl"
    lines = path.read_text().splitlines()
    others = [line for line in lines if '"holdout"' not in line]
    holdout = [line for line in lines if '"holdout"' in line]
    path.write_text("\n".join([*others, *holdout[:rows]]) + "\n")


def test_the_active_policy_cannot_be_promoted_again(project: Project) -> None:
    name = name_of(compile_it(project, real()).artifact_name)
    promote(project, name, real())
    counting = Counting(real())
    with pytest.raises(UsageError, match="is the active policy"):
        promote(project, name, counting)
    assert counting.requests == []


def test_a_rollback_goes_back_to_the_authored_policy_and_is_recorded(project: Project) -> None:
    name = name_of(compile_it(project, real()).artifact_name)
    promote(project, name, real())
    store = inputs_of(project).store
    record, _ = rollback_policy(store, inputs_of(project).signature, reason="too terse")
    assert (record.event, record.reason, record.target) == ("rollback", "too terse", None)
    assert active(project) is None
    with pytest.raises(UsageError, match="nothing to roll back"):
        rollback_policy(store, inputs_of(project).signature, reason="again")


def test_a_stale_artifact_is_not_promoted(project: Project) -> None:
    name = name_of(compile_it(project, real()).artifact_name)
    edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    counting = Counting(real())
    with pytest.raises(StaleError, match="prompt"):
        promote(project, name, counting)
    assert counting.requests == []


def test_a_token_cap_that_was_lowered_makes_an_artifact_stale_and_a_raised_one_does_not(
    project: Project,
) -> None:
    name = name_of(compile_it(project, real()).artifact_name)
    signature = f"signatures/{NAME}/signature.yaml"
    edit(project, signature, "max_tokens: 32", "max_tokens: 31")
    with pytest.raises(StaleError, match="token cap"):
        plan_promotion(inputs_of(project), name)
    edit(project, signature, "max_tokens: 31", "max_tokens: 64")
    assert plan_promotion(inputs_of(project), name).look == 1


@pytest.mark.parametrize(("job", "split"), [("grid", "val"), ("greedy", "train")])
def test_rows_that_a_search_saw_cannot_become_its_holdout(
    tmp_path: Path, job: str, split: str
) -> None:
    project = make_project(tmp_path, JOBS[job])
    name = compile_it(project, real()).artifact_name
    path = project.root / "datasets/tickets/rows.jsonl"
    new, was = ("holdout", split)
    lines = [
        json.dumps({**row, "split": new}) if row["split"] == was and row["id"] > f"{was}-00"
        else json.dumps(row)
        for row in map(json.loads, path.read_text().splitlines())
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    counting = Counting(real())
    for terms in (GateTerms(), GateTerms(override="please")):
        with pytest.raises(StaleError, match=f"saw what is holdout now: {split}-0"):
            asyncio.run(promote_policy(inputs_of(project), name, options(counting), terms))
    assert counting.requests == []
    assert active(project) is None


def test_an_altered_artifact_is_not_promoted(project: Project) -> None:
    result = compile_it(project, real())
    edit(project, f"artifacts/{NAME}/{result.artifact_name}", "stands in brackets", "is there")
    before = tree(project)
    with pytest.raises(AlteredError):
        promote(project, name_of(result.artifact_name), real())
    assert tree(project) == before


def test_without_a_holdout_nothing_is_promoted(project: Project) -> None:
    path = project.root / "datasets/tickets/rows.jsonl"
    lines = [line for line in path.read_text().splitlines() if '"holdout"' not in line]
    path.write_text("\n".join(lines) + "\n")
    name = name_of(compile_it(project, real()).artifact_name)
    with pytest.raises(NothingSelectedError, match="holdout"):
        promote(project, name, real())


# --- overrides ----------------------------------------------------------------------------------


def dull() -> RealTransport:
    return RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))


def override(project: Project, word: str, transport: Layer, why: str = "trust me") -> Promotion:
    terms = GateTerms(override=why)
    return asyncio.run(promote_policy(inputs_of(project), word, options(transport), terms))


def test_an_override_moves_the_pointer_and_keeps_reason_and_evidence(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    promotion = override(project, name, dull())
    assert promotion.moved
    assert promotion.evidence.verdict == "no_change"
    record = read_history(inputs_of(project).store)[-1]
    assert (record.event, record.override, record.reason) == ("promote", True, "trust me")
    assert record.gate == promotion.evidence
    store = inputs_of(project).store
    assert override_text(read_history(store)) == "active by override: trust me"


def test_an_override_that_was_not_needed_is_not_written(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    assert override(project, name, real()).record.to_json().get("override") is None
    assert override_text(read_history(inputs_of(project).store)) == ""


def test_an_override_does_without_a_holdout(project: Project) -> None:
    path = project.root / "datasets/tickets/rows.jsonl"
    lines = [line for line in path.read_text().splitlines() if '"holdout"' not in line]
    path.write_text("\n".join(lines) + "\n")
    name = compile_it(project, real()).artifact_name
    transport = real()
    promotion = override(project, name, transport)
    assert promotion.moved
    assert transport.requests == []
    assert "holdout" in promotion.measured.unmeasured
    assert promotion.record.gate is None
    with pytest.raises(ValueError, match="override alone"):
        _ = promotion.evidence


def test_an_override_does_with_a_holdout_that_is_too_small(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    shrink_holdout(project, 3)
    transport = real()
    inputs = inputs_of(project, any_holdout=True)
    with pytest.raises(SpecError, match="the holdout has 3 rows"):
        asyncio.run(promote_policy(inputs, name, options(transport)))
    terms = GateTerms(override="trust me")
    promotion = asyncio.run(promote_policy(inputs, name, options(transport), terms))
    assert promotion.moved
    assert transport.requests == []
    assert "the holdout has 3 rows" in promotion.measured.unmeasured


def test_an_override_does_not_evade_a_look_by_a_mode_that_promises_nothing(
    project: Project,
) -> None:
    name = compile_it(project, real()).artifact_name
    terms = GateTerms("non_inferiority", "trust me")
    with pytest.raises(SpecError, match="no saving is promised"):
        asyncio.run(promote_policy(inputs_of(project), name, options(real()), terms))
    assert active(project) is None


@pytest.mark.parametrize("why", ["", "  \n"])
def test_an_override_without_a_reason_is_refused(why: str) -> None:
    with pytest.raises(UsageError, match="needs a reason"):
        GateTerms(override=why)


def test_no_override_helps_scripted_stale_or_altered_evidence(project: Project) -> None:
    result = compile_it(project, real())
    with pytest.raises(UsageError, match="scripted"):
        override(project, result.artifact_name, scripted())
    artifact = f"artifacts/{NAME}/{result.artifact_name}"
    edit(project, artifact, "stands in brackets", "is there")
    with pytest.raises(AlteredError):
        override(project, result.artifact_name, real())
    edit(project, artifact, "is there", "stands in brackets")
    edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    with pytest.raises(StaleError):
        override(project, result.artifact_name, real())
    assert active(project) is None


# --- the same policy, newer evidence ------------------------------------------------------------


def test_a_recompile_of_the_active_policy_refreshes_its_evidence(project: Project) -> None:
    first = compile_it(project, real()).artifact_name
    promote(project, first, real())
    assert refresh_policy(inputs_of(project), first) is None
    edit(project, "datasets/tickets/rows.jsonl", "train note 1 ", "train note one ")
    second = compile_it(project, real()).artifact_name
    assert second != first
    assert second[:21] == first[:21], "the same policy"
    assert is_active(inputs_of(project), second)
    record = refresh_policy(inputs_of(project), second)
    assert record is not None
    assert (record.event, record.gate) == ("refresh", None)
    store = inputs_of(project).store
    pointer = read_active(store)
    assert pointer is not None
    assert pointer.artifact == second
    assert previous_promoted(read_history(store)) is None
    # The older evidence is of other rows than the tree has: the pointer does not go back to it.
    assert refresh_policy(inputs_of(project), first) is None
    rollback_policy(store, inputs_of(project).signature, reason="done")
    assert active(project) is None


def test_a_mode_that_promises_nothing_is_refused_before_a_look(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    transport = real()
    terms = GateTerms("non_inferiority")
    with pytest.raises(SpecError, match="no saving is promised"):
        asyncio.run(promote_policy(inputs_of(project), name, options(transport), terms))
    assert transport.requests == []


@pytest.mark.parametrize("why", ["", " "])
def test_a_rollback_without_a_reason_is_refused(project: Project, why: str) -> None:
    promote(project, compile_it(project, real()).artifact_name, real())
    store = inputs_of(project).store
    with pytest.raises(UsageError, match="the reason is empty"):
        rollback_policy(store, inputs_of(project).signature, reason=why)


def test_a_stale_active_policy_is_replaced_through_a_gate_against_the_authored_one(
    project: Project,
) -> None:
    old = promote(project, compile_it(project, real()).artifact_name, real()).candidate
    edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    newer = compile_it(project, real()).artifact_name
    assert not is_active(inputs_of(project), newer)
    promotion = promote(project, newer, real())
    assert promotion.moved
    assert promotion.baseline.label == "default (the active policy is stale)"
    assert promotion.record.source == old.ref
    assert active(project) == promotion.candidate.ref.compiled_id


def test_a_rollback_passes_over_what_could_not_serve(project: Project) -> None:
    old = promote(project, compile_it(project, real()).artifact_name, real()).candidate
    edit(project, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    promote(project, compile_it(project, real()).artifact_name, real())
    inputs = inputs_of(project)
    record, passed_over = rollback_policy(inputs.store, inputs.signature, reason="worse")
    assert passed_over == (old.ref,)
    assert record.target is None
    assert active(project) is None
