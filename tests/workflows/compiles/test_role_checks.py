from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.workflows.compiles.compile_search import find_optimizer
from tests.workflows.desk import GRID, inputs_of
from tests.workflows.proposals.studio import JOB, add_proposer, line_of, make_studio


def only(root: Path, **job: Any) -> Diagnostic:
    project = make_studio(root, **job)
    add_proposer(project)
    with pytest.raises(SpecError) as error:
        find_optimizer(inputs_of(project))
    [found] = error.value.diagnostics
    assert found.file == JOB
    key = {
        "unused-share": "proposer_share",
        "unused-meta": "propose_instruction",
        "unused-model": "teacher" if "taught" in found.message else "proposer",
    }[found.code]
    assert found.line == line_of(project, f"{key}:")
    return found


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"models": {"main": "desk", "proposer": "muse"}}, "asks no proposer"),
        ({"models": {"main": "desk", "teacher": "muse"}}, "bootstraps no demos"),
        ({"budget": {"max_lm_calls": 99, "proposer_share": 0.5}}, "asks no proposer"),
        (
            {"meta": {"propose_instruction": {"signature": "my-proposer"}}},
            "does not ask propose_instruction",
        ),
    ],
)
def test_a_role_without_a_task_is_refused_at_its_line(
    tmp_path: Path, job: dict[str, Any], words: str
) -> None:
    found = only(tmp_path, **GRID, **job)

    assert words in found.message
    assert "instruction_grid.v1" in found.message


def test_a_share_of_no_limit_is_refused(tmp_path: Path) -> None:
    found = only(tmp_path, budget={"max_metric_calls": 99, "proposer_share": 0.5})

    assert found.message == "there is no limit to have a share of"


def test_a_proposer_for_meta_signatures_that_are_all_pinned_is_refused(tmp_path: Path) -> None:
    pinned = {"model": {"model": "openai/muse"}, "decode": {"mode": "jsonish"}}
    project = make_studio(
        tmp_path,
        models={"main": "desk", "proposer": "muse"},
        meta={
            name: {"signature": "my-proposer"}
            for name in ("propose_instruction", "refine_instruction")
        },
    )
    add_proposer(project, input={"basic_instruction": "string"}, defaults={"params": pinned})

    with pytest.raises(SpecError) as error:
        find_optimizer(inputs_of(project))
    [found] = error.value.diagnostics
    assert found.message == "every meta-signature is pinned to a model of its own"


def test_roles_with_a_task_are_taken(tmp_path: Path) -> None:
    project = make_studio(
        tmp_path,
        models={"main": "desk", "proposer": "muse"},
        budget={"max_lm_calls": 99, "proposer_share": 0.5},
    )

    registered, _ = find_optimizer(inputs_of(project))
    assert registered.optimizer.id == "instruction_propose.v1"
