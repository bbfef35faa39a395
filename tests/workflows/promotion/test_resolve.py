"""Two branches that promoted are measured against each other, the same from either side."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from dse_cli.contracts.errors import AlteredError, NothingSelectedError, UsageError
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.registry.history import looks, previous_promoted, read_history
from dse_cli.registry.pointer import read_active
from dse_cli.report.channel_text import override_text
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.promotion.look import PLAIN_TERMS, GateTerms
from dse_cli.workflows.promotion.promote import promote_policy
from dse_cli.workflows.promotion.resolve import Resolution, resolve_signature
from dse_cli.workflows.promotion.rollback import rollback_policy
from tests.lm.calls import RealTransport
from tests.workflows.desk import NAME, as_model, compile_it, edit, inputs_of, options, real

JOB = f"signatures/{NAME}/compile.yaml"
POINTER = f"artifacts/{NAME}/active.yaml"


class Merged(NamedTuple):
    """A merged tree, and the ids of the policies that each branch promoted."""

    project: Project
    ours: str
    theirs: str


def half_right(request: LmRequest) -> LmResponse:
    """Answer like the model; the policy that says "always" errs on every fourth note."""
    ticket = json.loads(request.messages[-1].content)["ticket"]
    number = int(ticket.split("note ")[1].split()[0])
    answer = as_model(request)
    if "always" in request.messages[0].content and number % 4 == 0:
        wrong = "other" if "billing" in answer.text else "billing"
        return replace(answer, text=json.dumps({"queue": wrong}))
    return answer


def promote_latest(project: Project, transport: Layer) -> str:
    name = compile_it(project, real()).artifact_name
    done = asyncio.run(promote_policy(inputs_of(project), name, options(transport)))
    assert done.moved
    return done.candidate.ref.compiled_id


def branches(project: Project, home: Path, *, same: bool = False) -> Merged:
    """Promote in two copies of a project and merge the second into the first."""
    other_root = home / "other"
    shutil.copytree(project.root, other_root)
    other = Project.open(root=other_root)
    if not same:
        edit(other, JOB, "It stands in", "It always stands in")
    ours = promote_latest(project, real())
    theirs = promote_latest(other, RealTransport(half_right))
    for path in sorted((other_root / "artifacts").rglob("*")):
        target = project.root / path.relative_to(other_root)
        if path.is_file() and path.name != "active.yaml" and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    one, two = (root / POINTER for root in (project.root, other_root))
    if one.read_bytes() != two.read_bytes():
        one.write_text(f"<<<<<<< a\n{one.read_text()}=======\n{two.read_text()}>>>>>>> b\n")
    return Merged(project, ours, theirs)


def resolve(
    project: Project, transport: Layer | None = None, terms: GateTerms = PLAIN_TERMS
) -> Resolution:
    run = options(transport or RealTransport(half_right))
    return asyncio.run(resolve_signature(inputs_of(project), run, terms))


def active(project: Project) -> str | None:
    pointer = read_active(inputs_of(project).store)
    return pointer.compiled_id if pointer else None


def codes(project: Project) -> set[str]:
    return {found.code for found in check_project(Project.open(root=project.root))}


def test_the_policy_that_measured_higher_is_the_baseline_and_stands(
    project: Project, tmp_path: Path
) -> None:
    merged = branches(project, tmp_path)
    assert {"history-fork", "merge-conflict"} <= codes(project)
    done = resolve(project)
    assert done.kept is not None
    assert done.kept.ref.compiled_id == merged.ours == active(project)
    assert done.measured is not None
    assert done.measured.evidence is not None
    assert done.measured.evidence.verdict != "promote"
    assert done.measured.evidence.look == 3, "the looks of both branches count"
    history = read_history(inputs_of(project).store)
    assert [record.event for record in history] == ["promote", "promote", "resolve"]
    assert looks(history, done.measured.evidence.split_hash) == 3
    assert previous_promoted(history) is None
    assert not {"history-fork", "merge-conflict", "pointer-history"} & codes(project)


def test_the_other_policy_can_win_by_the_gate(project: Project, tmp_path: Path) -> None:
    merged = branches(project, tmp_path)

    def turned(request: LmRequest) -> LmResponse:
        told = request.messages[0].content
        good = "always" in told or "brackets" not in told
        return as_model(request) if good else replace(as_model(request), text='{"queue":"other"}')

    done = resolve(project, RealTransport(turned))
    assert done.measured is not None
    assert done.measured.evidence is not None
    assert done.measured.evidence.verdict == "promote"
    assert active(project) == merged.theirs
    record, _ = rollback_policy(inputs_of(project).store, inputs_of(project).signature, reason="no")
    assert record.target is None, "what the winner's branch had replaced"


def test_both_who_merge_get_the_same_answer(project: Project, tmp_path: Path) -> None:
    merged = branches(project, tmp_path)
    mirrored = tmp_path / "mirrored"
    shutil.copytree(project.root, mirrored)
    text = (mirrored / POINTER).read_text()
    ours, theirs = text.removeprefix("<<<<<<< a\n").removesuffix(">>>>>>> b\n").split("=======\n")
    (mirrored / POINTER).write_text(f"<<<<<<< b\n{theirs}=======\n{ours}>>>>>>> a\n")
    resolve(project)
    resolve(Project.open(root=mirrored))
    for path in (project.root / "artifacts").rglob("*"):
        if path.is_file():
            twin = mirrored / path.relative_to(project.root)
            assert twin.read_bytes() == path.read_bytes(), path.name
    assert active(project) == merged.ours


def test_the_same_policy_on_both_branches_needs_no_look(project: Project, tmp_path: Path) -> None:
    other = Project.open(root=shutil.copytree(project.root, tmp_path / "other"))
    name = compile_it(other, real()).artifact_name
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    asyncio.run(promote_policy(inputs_of(other), name, options(dull)))
    merged = branches_of(project, other)
    assert merged.ours == merged.theirs
    transport = real()
    done = resolve(project, transport)
    assert transport.requests == []
    assert done.reason == "both branches ended at the same policy"
    assert active(project) == merged.ours
    events = [record.event for record in read_history(inputs_of(project).store)]
    assert events == ["promote", "refuse", "promote", "resolve"]


def test_a_stale_policy_gives_way_without_a_look(project: Project, tmp_path: Path) -> None:
    other_root = tmp_path / "other"
    shutil.copytree(project.root, other_root)
    other = Project.open(root=other_root)
    edit(other, f"signatures/{NAME}/signature.yaml", "You route", "You sort")
    merged = branches_of(project, other)
    shutil.copy(
        other_root / f"signatures/{NAME}/signature.yaml",
        project.root / f"signatures/{NAME}/signature.yaml",
    )
    transport = real()
    done = resolve(project, transport)
    assert transport.requests == []
    assert "the signature changed since" in done.reason
    assert active(project) == merged.theirs


def branches_of(project: Project, other: Project) -> Merged:
    ours, theirs = promote_latest(project, real()), promote_latest(other, real())
    for path in sorted((other.root / "artifacts").rglob("*.json*")):
        target = project.root / path.relative_to(other.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return Merged(project, ours, theirs)


def test_without_a_holdout_a_resolve_needs_an_override(project: Project, tmp_path: Path) -> None:
    merged = branches(project, tmp_path)
    path = project.root / "datasets/tickets/rows.jsonl"
    lines = [line for line in path.read_text().splitlines() if '"holdout"' not in line]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(NothingSelectedError, match="holdout"):
        resolve(project)
    done = resolve(project, terms=GateTerms(override="ours is the newer one"))
    assert done.record is not None
    assert (done.record.override, done.record.reason) == (True, "ours is the newer one")
    history = read_history(inputs_of(project).store)
    assert override_text(history) == "active by override: ours is the newer one"
    assert active(project) == merged.ours


def test_an_altered_record_is_not_resolved(project: Project, tmp_path: Path) -> None:
    branches(project, tmp_path)
    record = sorted((project.root / f"artifacts/{NAME}/history").iterdir())[0]
    record.write_text(record.read_text().replace('"sequence": 1', '"sequence": 2'))
    transport = real()
    with pytest.raises(AlteredError):
        resolve(project, transport)
    assert transport.requests == []


def test_there_must_be_something_to_resolve(project: Project) -> None:
    with pytest.raises(UsageError, match="nothing to resolve"):
        resolve(project)
    promote_latest(project, real())
    with pytest.raises(UsageError, match="nothing to resolve"):
        resolve(project)


def test_a_pointer_in_conflict_alone_is_made_again_from_the_history(project: Project) -> None:
    promote_latest(project, real())
    path = project.root / POINTER
    sound = path.read_bytes()
    path.write_text(f"<<<<<<< a\n{path.read_text()}=======\n>>>>>>> b\n")
    done = resolve(project)
    assert done.record is None
    assert path.read_bytes() == sound


def test_a_branch_that_only_looked_does_not_cost_another_look(
    project: Project, tmp_path: Path
) -> None:
    other = Project.open(root=shutil.copytree(project.root, tmp_path / "other"))
    edit(other, JOB, "It stands in", "It always stands in")
    name = compile_it(other, real()).artifact_name
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    asyncio.run(promote_policy(inputs_of(other), name, options(dull)))
    ours = promote_latest(project, real())
    for path in sorted((other.root / "artifacts").rglob("*.json*")):
        target = project.root / path.relative_to(other.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    assert "history-fork" in codes(project)
    transport = real()
    done = resolve(project, transport)
    assert transport.requests == []
    assert done.reason == "only one of the branches moved the pointer"
    assert active(project) == ours
    assert len(read_history(inputs_of(project).store)) == 3
