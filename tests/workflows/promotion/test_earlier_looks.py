"""What is said before a look: rows and pairs that earlier looks have seen."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from dse_cli.project.project import Project
from dse_cli.workflows.promotion.promote import look_notes, plan_promotion, promote_policy
from tests.lm.calls import RealTransport
from tests.workflows.desk import HOLDOUT, as_model, compile_it, edit, inputs_of, options, real

ROWS = "datasets/tickets/rows.jsonl"


def refused_once(project: Project) -> str:
    """Compile, and let the gate say no; return the artifact."""
    name = compile_it(project, real()).artifact_name
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    assert not asyncio.run(promote_policy(inputs_of(project), name, options(dull))).moved
    return name


def test_a_first_look_has_no_note(project: Project) -> None:
    name = compile_it(project, real()).artifact_name
    assert look_notes(inputs_of(project), name) == ()


def test_the_same_two_policies_on_the_same_rows_are_said(project: Project) -> None:
    name = refused_once(project)
    (note,) = look_notes(inputs_of(project), name)
    assert note.startswith("record 1 measured these two policies on these rows already: ")
    assert plan_promotion(inputs_of(project), name).notes == (note,)


def test_rows_of_another_revision_are_counted_by_their_ids(project: Project) -> None:
    name = refused_once(project)
    edit(project, ROWS, "holdout note 3 ", "holdout note three ")
    edit(project, ROWS, '"id": "holdout-05"', '"id": "holdout-new"')
    (note,) = look_notes(inputs_of(project), name)
    assert note == (
        f"{HOLDOUT - 1} of {HOLDOUT} holdout rows were seen in 1 earlier look under another "
        "revision, which is not counted"
    )
    dull = RealTransport(lambda request: replace(as_model(request), text='{"queue":"other"}'))
    asyncio.run(promote_policy(inputs_of(project), name, options(dull)))
    edit(project, ROWS, "holdout note 4 ", "holdout note four ")
    (note,) = look_notes(inputs_of(project), name)
    assert note == (
        f"{HOLDOUT} of {HOLDOUT} holdout rows were seen in 2 earlier looks under other "
        "revisions, which are not counted"
    )
