"""A loaded signature: keys choose the policy, and no input field can clash with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from dse_cli.project.project import Project
from dse_cli.registry.routing import is_canary
from dse_cli.workflows.promotion.canary import CanaryPlan, start_canary_policy
from dse_cli.workflows.serving.loader import LoadedSignature
from dse_cli.workflows.serving.predict import ServedPolicy
from tests.workflows.desk import NAME, SIGNATURE, compile_it, inputs_of, options, real

TICKET = "a note for [billing]"


@pytest.fixture
def route(project: Project) -> Iterator[LoadedSignature]:
    """A signature with a canary of 40 %, which alone answers "billing"."""
    artifact = compile_it(project, real()).artifact_name
    plan = CanaryPlan(40, salt="salt")
    asyncio.run(start_canary_policy(inputs_of(project), artifact, plan, options(real())))
    opened = Project.open(root=project.root)
    loaded = LoadedSignature(ServedPolicy(opened, NAME, options(real())))
    yield loaded
    loaded.close()


def test_a_key_always_gets_one_policy(route: LoadedSignature) -> None:
    seen = set()
    for number in range(20):
        key = f"user-{number}"
        mine = is_canary("salt", SIGNATURE["id"], key, 40)
        for _ in range(2):
            queue = route.with_key(key)(ticket=TICKET)["queue"]
            assert queue == ("billing" if mine else "other")
        seen.add(mine)
    assert seen == {True, False}


def test_keys_work_without_blocking_too(route: LoadedSignature) -> None:
    async def go() -> list[str]:
        keys = [f"user-{number}" for number in range(12)]
        answers = await asyncio.gather(*(route.with_key(key).acall(ticket=TICKET) for key in keys))
        return [answer["queue"] for answer in answers]

    expected = [
        "billing" if is_canary("salt", SIGNATURE["id"], f"user-{number}", 40) else "other"
        for number in range(12)
    ]
    assert asyncio.run(go()) == expected


def test_without_a_key_the_same_input_gets_one_policy(
    route: LoadedSignature, project: Project
) -> None:
    assert len({route(ticket=TICKET)["queue"] for _ in range(4)}) == 1
    lines = (project.paths.predictions / f"{NAME}.jsonl").read_text().splitlines()
    assert len({json.loads(line)["channel"] for line in lines}) == 1
