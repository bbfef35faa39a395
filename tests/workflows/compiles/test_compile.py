from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import (
    BudgetExhaustedError,
    InfrastructureError,
    NothingSelectedError,
    ProviderError,
    SpecError,
    UsageError,
)
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import compile_signature, run_folder
from dse_cli.workflows.compiles.compile_search import run_search, start_search
from dse_cli.workflows.plans.plan import Plan, plan_compile
from dse_cli.workflows.session import RunOptions, open_session
from tests.workflows.desk import (
    CALLS,
    GRID,
    JOBS,
    VAL,
    Counting,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    real,
    rule,
    scripted,
    tree,
)

ROOT = Path(__file__).parents[2]
HASH_SEEDS = """
import sys
from pathlib import Path
from dse_cli.canonical import sha256_of
from tests.workflows.desk import JOBS, compile_it, make_project, scripted, tree
found = {}
for name in ("joint", "knobs"):
    project = make_project(Path(sys.argv[1]) / name, JOBS[name])
    compile_it(project, scripted())
    found[name] = {path: data.decode() for path, data in tree(project).items()}
print(sha256_of(found))
"""


# --- what is written ----------------------------------------------------------------------------


def test_a_compile_writes_the_artifact_the_receipt_and_the_transcript(project: Project) -> None:
    result = compile_it(project, scripted())
    artifact = result.outputs.artifact
    assert set(tree(project)) == {
        f"artifacts/route/{result.artifact_name}",
        *(f"artifacts/route/{result.folder}/{name}"
          for name in ("receipt.json", "calls.jsonl", "texts.jsonl", "report.md")),
    }  # fmt: skip
    assert artifact.params.instruction is not None
    assert "brackets" in artifact.params.instruction.text
    assert artifact.baseline.mean == pytest.approx(1 / 3)
    assert artifact.evaluation.mean == 1.0
    assert artifact.evaluation.scripted
    assert artifact.evaluation.split == "val"
    assert artifact.optimizer.stop_reason.kind == "complete"
    receipt = result.outputs.receipt.predicate.result
    assert receipt.improved
    assert [candidate.origin for candidate in receipt.candidates] == [
        "base", "instruction:brackets", "instruction:loud",
    ]  # fmt: skip
    assert receipt.charged["metric_calls"] == receipt.charged["lm_calls"] == CALLS
    assert (result.paid_calls, result.resumed_calls) == (CALLS, 0)


@pytest.mark.parametrize("job", sorted(JOBS))
def test_the_same_inputs_and_answers_give_the_same_bytes_at_any_concurrency(
    job: str, tmp_path: Path
) -> None:
    trees = []
    for concurrency in (1, 8):
        project = make_project(tmp_path / str(concurrency), JOBS[job])
        compile_it(project, scripted(), concurrency=concurrency)
        trees.append(tree(project))
    assert trees[0] == trees[1]
    assert len(trees[0]) == 5


def test_recompiling_changes_no_file_and_pays_nothing_from_a_warm_cache(
    project: Project, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    compile_it(project, real(), cache=cache)
    before = tree(project)
    stamps = {name: (project.root / name).stat().st_mtime_ns for name in before}
    counting = Counting(real())
    result = compile_it(project, counting, cache=cache)
    assert tree(project) == before
    assert {name: (project.root / name).stat().st_mtime_ns for name in before} == stamps
    assert counting.requests == []
    assert result.paid_calls == 0
    assert result.outputs.receipt.predicate.result.charged["lm_calls"] == CALLS


def test_other_answers_are_another_run_beside_the_first(project: Project) -> None:
    compile_it(project, scripted())
    before = tree(project)
    compile_it(project, ScriptedTransport(lambda request: '{"queue":"other"}'))
    after = tree(project)
    assert before.items() <= after.items()
    assert len(after) == 2 * len(before)


def test_no_wall_clock_host_or_path_is_in_what_git_sees(project: Project) -> None:
    result = compile_it(project, scripted())
    text = b"".join(tree(project).values()).decode()
    assert str(project.root) not in text
    assert os.uname().nodename not in text
    facts = json.loads((run_folder(inputs_of(project)) / "run.json").read_text())
    assert facts["paid"]["calls"] == CALLS
    assert facts["run"] == result.outputs.artifact.provenance.run


def test_the_result_of_a_search_does_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    jobs = [
        subprocess.Popen(
            [sys.executable, "-c", HASH_SEEDS, str(tmp_path / seed)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in ("0", "1", "4242")
    ]
    digests = {job.communicate()[0] for job in jobs}
    assert [job.returncode for job in jobs] == [0, 0, 0]
    assert len(digests) == 1
    assert digests.pop().startswith("sha256:")


# --- what a search sees -------------------------------------------------------------------------


@pytest.mark.parametrize("job", sorted(JOBS))
def test_no_holdout_row_reaches_a_model(job: str, tmp_path: Path) -> None:
    inputs = inputs_of(make_project(tmp_path, JOBS[job]))
    counting = Counting(scripted())

    async def go() -> None:
        async with open_session(
            inputs.catalog, inputs.reward, options(counting), seed=7, budget=inputs.job.budget
        ) as session:
            search = start_search(inputs, session.engine)
            assert {row.split for row in [*search.train, *search.val]} <= {"train", "val"}
            await run_search(inputs, session.engine)

    asyncio.run(go())
    seen = "".join(message.content for r in counting.requests for message in r.messages)
    assert "val note" in seen
    assert "holdout" not in seen
    assert ("train note" in seen) == (job in {"greedy", "joint"})


# --- budgets ------------------------------------------------------------------------------------


def with_budget(**budget: Any) -> dict[str, Any]:
    return {**GRID, "budget": budget}


@pytest.mark.parametrize("cap", [VAL, 2 * VAL - 1, 2 * VAL, 3 * VAL - 1])
def test_a_budget_stop_leaves_the_best_that_was_fully_evaluated(cap: int, tmp_path: Path) -> None:
    project = make_project(tmp_path, with_budget(max_metric_calls=cap))
    counting = Counting(scripted())
    result = compile_it(project, counting)
    done = cap // VAL
    assert len(counting.requests) == done * VAL
    stop = result.outputs.artifact.optimizer.stop_reason
    assert (stop.kind, stop.batch) == ("max_metric_calls", done)
    assert result.outputs.receipt.predicate.result.improved == (done == 2)


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        ({"max_metric_calls": VAL - 1}, "max_metric_calls"),
        ({"max_lm_calls": 2 * VAL - 1}, "max_lm_calls"),
        ({"max_tokens": 500}, "max_tokens"),
    ],
)
def test_a_budget_below_one_pass_of_the_base_spends_nothing(budget, name, tmp_path) -> None:
    project = make_project(tmp_path, with_budget(**budget))
    counting = Counting(scripted())
    with pytest.raises(BudgetExhaustedError) as stopped:
        compile_it(project, counting)
    assert stopped.value.budget == name
    assert stopped.value.needed > stopped.value.limit
    assert counting.requests == []
    assert tree(project) == {}


def test_a_plan_is_priced_with_the_longest_prompt_and_the_most_repairs(tmp_path: Path) -> None:
    def plan(**changes: Any) -> Plan:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        inputs = inputs_of(make_project(folder, {**JOBS["knobs"], **changes}))
        return asyncio.run(plan_compile(inputs, options(scripted())))

    space = JOBS["knobs"]["search_space"]
    wordy = {**space, "instructions": [{"id": "wordy", "text": "Choose. " * 100}]}
    patient = {**space, "knobs": {**space["knobs"], "decode.max_repairs": [0, 4]}}
    plain, long, mending = plan(), plan(search_space=wordy), plan(search_space=patient)
    assert plain.most.tokens is not None
    assert long.most.tokens is not None
    # Two calls a cell, five passes over val, 800 bytes more a prompt.
    assert long.most.tokens > plain.most.tokens + 2 * 5 * VAL * 700
    assert mending.most.lm_calls == plain.most.lm_calls // 2 * 5
    assert plain.floor.tokens == long.floor.tokens


@pytest.mark.parametrize("job", sorted(JOBS))
def test_a_plan_calls_nothing_and_bounds_what_the_run_is_charged(job: str, tmp_path: Path) -> None:
    project = make_project(tmp_path, JOBS[job])
    counting = Counting(scripted())
    plan = asyncio.run(plan_compile(inputs_of(project), options(counting)))
    assert counting.requests == []
    charged = compile_it(project, counting).outputs.receipt.predicate.result.charged
    assert charged["metric_calls"] is not None
    assert charged["metric_calls"] <= plan.metric_calls
    assert charged["lm_calls"] is not None
    assert charged["lm_calls"] <= plan.most.lm_calls
    assert plan.most.tokens is not None
    assert charged["tokens"] is not None
    assert charged["tokens"] <= plan.most.tokens


# --- what is refused before anything is spent ---------------------------------------------------


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({"optimizer": {"id": "mipro"}}, "unknown-optimizer"),
        ({"optimizer": {"id": "knobs_grid.v1", "config": {"cap": 1}}}, "bad-config"),
        ({"optimizer": {"id": "fewshot_greedy_forward.v1"}}, "unused-search-space"),
        ({"search_space": {}}, "empty-search-space"),
        (
            {
                "optimizer": {"id": "knobs_grid.v1"},
                "search_space": {"knobs": {"decode.max_repairs": [0, 99]}},
            },
            "bad-knob",
        ),
        (
            {
                "optimizer": {"id": "knobs_grid.v1"},
                "search_space": {"knobs": {"model.max_tokens": [16, 32, 64]}},
            },
            "bad-knob",
        ),
    ],
)
def test_a_job_that_its_optimizer_cannot_do_is_a_spec_error_with_a_line(
    job, code, tmp_path
) -> None:
    project = make_project(tmp_path, {**GRID, **job})
    counting = Counting(scripted())
    with pytest.raises(SpecError) as refused:
        compile_it(project, counting)
    assert code in [problem.code for problem in refused.value.diagnostics]
    assert all(problem.line > 0 for problem in refused.value.diagnostics)
    assert counting.requests == []


@pytest.mark.parametrize(
    ("config", "message", "hint", "at"),
    [
        (
            {"max_candidate": 4},
            "unknown key 'max_candidate'",
            "did you mean 'max_candidates'?",
            "max_candidate:",
        ),
        (
            {"max_candidates": 0},
            "'max_candidates' must be a whole number from 1 to 500, but is 0",
            "",
            "0",
        ),
        (
            {"scheduler": "race"},
            (
                "'scheduler' must be one of 'full', 'racing', 'successive_halving' or a mapping, "
                "but is the text 'race'"
            ),
            "did you mean 'racing'?",
            "race",
        ),
        (
            {"scheduler": {"id": "racing", "eta": 3}},
            "unknown key 'eta' in 'scheduler'",
            "known keys: alpha, first, growth, id",
            "eta:",
        ),
    ],
)
def test_a_wrong_setting_is_said_like_any_other_mistake_in_the_file(
    config, message, hint, at, tmp_path
) -> None:
    job = {**GRID, "optimizer": {"id": "knobs_grid.v1", "config": config}}
    with pytest.raises(SpecError) as refused:
        compile_it(make_project(tmp_path, job), scripted())
    (problem,) = refused.value.diagnostics
    assert (problem.message, problem.hint or "") == (message, hint)
    assert problem.source is not None
    assert problem.source[problem.column - 1 :].startswith(at)


def test_settings_that_exclude_each_other_are_said_at_one_of_them(tmp_path: Path) -> None:
    job = {**GRID, "search_space": {}}
    job["optimizer"] = {"id": "mipro_v2.v1", "config": {"auto": "light", "num_trials": 4}}
    with pytest.raises(SpecError) as refused:
        compile_it(make_project(tmp_path, job), scripted())
    (problem,) = refused.value.diagnostics
    assert problem.message == "num_trials is set by auto: light; remove one of the two"
    assert problem.source is not None
    assert problem.source[problem.column - 1 :].startswith("num_trials")


def test_a_search_for_demos_without_a_row_for_one_is_refused(tmp_path: Path) -> None:
    job = {**JOBS["greedy"], "search_space": {"few_shot": {"k_max": 1, "tags": ["none"]}}}
    counting = Counting(scripted())
    with pytest.raises(NothingSelectedError, match="demo"):
        compile_it(make_project(tmp_path, job), counting)
    assert counting.requests == []


@pytest.mark.parametrize(
    "overrides",
    [{"sed": 1}, {"seed": "x"}, {"seed": 10**30}, {"budget": {"max_calls": 1}}, {"models": 1}],
)
def test_an_override_that_the_job_cannot_take_is_a_usage_error(project, overrides) -> None:
    with pytest.raises(UsageError, match="cannot be changed"):
        inputs_of(project, overrides=overrides)


def test_an_override_is_part_of_the_run_and_not_of_the_file(project: Project) -> None:
    plain = inputs_of(project)
    changed = inputs_of(project, overrides={"seed": 8, "budget": {"max_lm_calls": 500}})
    assert (changed.job.seed, changed.job.budget.max_lm_calls) == (8, 500)
    assert changed.job.budget.max_metric_calls == 400
    assert changed.run_inputs_hash != plain.run_inputs_hash
    assert changed.external_parameters["overrides"] == {"seed": 8, "budget": {"max_lm_calls": 500}}


# --- interruptions ------------------------------------------------------------------------------


class Interrupted:
    """Answers so many calls and is then interrupted as by Ctrl-C."""

    def __init__(self, after: int) -> None:
        self._left = after

    async def complete(self, request: LmRequest) -> LmResponse:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return await scripted().complete(request)

    async def aclose(self) -> None:
        """Nothing to close."""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    project = make_project(tmp_path_factory.mktemp("whole"), JOBS["joint"])
    compile_it(project, scripted())
    return tree(project)


@pytest.mark.parametrize("after", [0, 1, 5, VAL, 2 * VAL + 4, 40])
def test_a_run_that_is_interrupted_resumes_to_the_same_bytes_and_pays_no_call_twice(
    after: int, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    project = make_project(tmp_path, JOBS["joint"])
    first, second = Counting(Interrupted(after)), Counting(scripted())
    with pytest.raises(KeyboardInterrupt):
        compile_it(project, first, concurrency=1)
    assert tree(project) == {}
    result = compile_it(project, second, resume=True, concurrency=1)
    assert tree(project) == uninterrupted
    assert result.resumed_calls == after
    paid = [request.path for request in first.requests[:after]]
    assert not set(paid) & {request.path for request in second.requests}
    assert not (run_folder(inputs_of(project)) / "journal.jsonl").exists()


@pytest.mark.parametrize("after", [0, 3, VAL + 2, 3 * VAL])
def test_a_run_that_is_cancelled_resumes_to_the_same_bytes(
    after: int, tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    project = make_project(tmp_path, JOBS["joint"])

    async def go() -> None:
        reached = asyncio.Event()
        left = [after]

        async def hang(_: LmRequest) -> None:
            left[0] -= 1
            if left[0] < 0:
                reached.set()
                await asyncio.Event().wait()

        transport = ScriptedTransport(rule, delay=hang)
        run = compile_signature(inputs_of(project), options(transport, concurrency=8))
        task = asyncio.create_task(run)
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    result = compile_it(project, scripted(), resume=True)
    assert tree(project) == uninterrupted
    assert result.resumed_calls <= after


def test_a_run_interrupted_twice_still_ends_in_the_same_bytes(
    tmp_path: Path, uninterrupted: dict[str, bytes]
) -> None:
    project = make_project(tmp_path, JOBS["joint"])
    with pytest.raises(KeyboardInterrupt):
        compile_it(project, Interrupted(7), concurrency=1)
    with pytest.raises(KeyboardInterrupt):
        compile_it(project, Interrupted(9), resume=True, concurrency=1)
    result = compile_it(project, scripted(), resume=True)
    assert tree(project) == uninterrupted
    assert result.resumed_calls == 16


def test_starting_over_keeps_what_was_paid_beside_the_new_journal(project: Project) -> None:
    with pytest.raises(KeyboardInterrupt):
        compile_it(project, Interrupted(5), concurrency=1)
    result = compile_it(project, scripted())
    assert result.resumed_calls == 0
    kept = run_folder(inputs_of(project)) / "journal.1.jsonl"
    assert len(kept.read_text().splitlines()) == 5


def test_an_outage_ends_a_run_that_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    whole, project = make_project(tmp_path / "a"), make_project(tmp_path / "b")
    compile_it(whole, scripted())
    count = [0]

    def failing(request: LmRequest) -> str | Exception:
        count[0] += 1
        return ProviderError("down") if count[0] > VAL + 3 else rule(request)

    with pytest.raises(InfrastructureError, match="down"):
        compile_it(project, ScriptedTransport(failing), max_error_rate=0.0)
    assert tree(project) == {}
    second = Counting(scripted())
    compile_it(project, second, resume=True)
    assert tree(project) == tree(whole)
    assert len(second.requests) == CALLS - VAL - 3


def test_options_of_a_run_are_not_part_of_what_names_it(project: Project) -> None:
    assert inputs_of(project).run_inputs_hash == inputs_of(project).run_inputs_hash
    before = inputs_of(project).run_inputs_hash
    edit(project, "signatures/route/signature.yaml", "Choose the queue.", "Choose one queue.")
    assert inputs_of(project).run_inputs_hash != before


def test_a_model_that_is_not_a_script_is_not_marked_as_one(project: Project) -> None:
    artifact = compile_it(project, real()).outputs.artifact
    assert not artifact.evaluation.scripted
    assert artifact.evaluation.models == ("desk-1",)
    assert RunOptions().transport is None
