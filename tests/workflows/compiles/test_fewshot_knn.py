"""``fewshot_knn.v1`` from the job to a prediction, with a model that reads its demos."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import AlteredError, BudgetExhaustedError, DseError, SpecError
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.evaluation.ledger import Bound
from dse_cli.lm.lexical import LEXICAL, lexical_response
from dse_cli.project.project import Project
from dse_cli.registry.verify import verify_store
from dse_cli.report.policy_diff import diff_policies, view_policy
from dse_cli.report.policy_diff_text import render_diff_text
from dse_cli.report.policy_text import policy_lines, prompt_lines
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.compiles.compile import CompileResult
from dse_cli.workflows.plans.plan import plan_compile
from dse_cli.workflows.plans.rehearsal import TooLargeError
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.replays.replay import replay_strict
from dse_cli.workflows.serving.predict import ServedPolicy
from dse_cli.workflows.session import RunOptions
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    NAME,
    TRAIN,
    VAL,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    rule,
    tree,
)

KNN: dict[str, Any] = {
    "optimizer": {"id": "fewshot_knn.v1", "config": {"k": [1, 2]}},
    "search_space": {"few_shot": {"k_max": 2}},
    "models": {"main": "desk", "embedder": "lexical-embed"},
}


def as_model(request: LmRequest) -> LmResponse:
    """Answer like the desk, which knows a queue that a demo shows; embed like the lexical one."""
    if request.task == "embed":
        return lexical_response(request)
    words = sum(len(message.content.split()) for message in request.messages)
    return LmResponse(rule(request), "stop", "desk-1", Usage(words, 4, 0))


def real() -> RealTransport:
    return RealTransport(as_model)


@pytest.fixture
def knn(tmp_path: Path) -> Project:
    return make_project(tmp_path / "knn", KNN)


@pytest.fixture
def compiled(knn: Project) -> tuple[Project, CompileResult]:
    return knn, compile_it(knn, real())


def test_the_worst_case_needs_no_rehearsal(knn: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def worst() -> Bound:
        return asyncio.run(plan_compile(inputs_of(knn), options(real()))).whole

    async def too_large(*_: Any, **__: Any) -> None:
        raise TooLargeError

    rehearsed = worst()
    monkeypatch.setattr("dse_cli.workflows.plans.plan.rehearse", too_large)
    assert worst() == rehearsed
    # An embedding, an answer and a repair for each cell, and the pool.
    assert rehearsed.lm_calls == rehearsed.metric_calls * 3 + TRAIN


def index_file(project: Project) -> str:
    return next(name for name in tree(project) if "/indexes/" in name)


def findings(project: Project) -> list[tuple[str, str, str]]:
    found = check_project(Project.open(root=project.root))
    return [(one.severity, one.code, one.file) for one in found]


# --- what is searched and written ---------------------------------------------------------------


def test_the_neighbours_win_and_the_policy_names_pool_selector_and_index(
    compiled: tuple[Project, CompileResult],
) -> None:
    project, result = compiled
    artifact = result.outputs.artifact
    few_shot = artifact.params.few_shot
    assert few_shot is not None
    assert few_shot.selector is not None
    assert few_shot.selector.embedder == LEXICAL.model
    assert [demo.id for demo in few_shot.examples] == [f"train-{n:02d}" for n in range(TRAIN)]
    assert {demo.source for demo in few_shot.examples} == {"labelled"}
    assert artifact.baseline.mean == pytest.approx(1 / 3)
    assert artifact.evaluation.mean == 1.0
    name = index_file(project)
    assert name == f"artifacts/route/indexes/{few_shot.selector.index[7:19]}.json"
    written = json.loads(tree(project)[name])
    assert [entry["id"] for entry in written["demos"]] == [d.id for d in few_shot.examples]
    subjects = [one.name for one in result.outputs.receipt.subject]
    assert subjects == [artifact.signature_id, name.removeprefix("artifacts/route/")]


def test_every_embedding_is_recorded_and_charged(compiled: tuple[Project, CompileResult]) -> None:
    _, result = compiled
    lines = [json.loads(line) for line in result.outputs.files.calls.splitlines()]
    embeds = [line["path"] for line in lines if line["path"].endswith("/step=embed")]
    pool = [path for path in embeds if path.startswith("embed/")]
    assert len(pool) == TRAIN
    assert len(embeds) - len(pool) == 2 * VAL  # once a cell of the two neighbour policies
    charged = result.outputs.receipt.predicate.result.charged
    assert charged["lm_calls"] == len(lines)


def test_the_demos_shown_are_the_nearest_with_the_most_alike_last(knn: Project) -> None:
    transport = real()
    compile_it(knn, transport)
    asked = [r for r in transport.requests if r.task is None and len(r.messages) == 6]
    assert asked
    for request in asked:
        ticket = json.loads(request.messages[-1].content)["ticket"]
        queue = ticket.split("[")[1]
        assert queue in request.messages[-3].content  # next to the question


def test_the_search_is_written_down(compiled: tuple[Project, CompileResult]) -> None:
    result = compiled[1].outputs.receipt.predicate.result
    assert [(one.kind, one.choice) for one in result.trials] == [
        ("base", None),
        ("full", {"k": 1}),
        ("full", {"k": 2}),
    ]
    assert [(one.recipe, len(one.demos), one.tried) for one in result.demo_sets] == [
        ("pool of neighbours", TRAIN, 0)
    ]


def test_a_winner_without_neighbours_writes_no_index(knn: Project) -> None:
    def stubborn(request: LmRequest) -> LmResponse:
        if request.task == "embed":
            return lexical_response(request)
        words = sum(len(message.content.split()) for message in request.messages)
        return LmResponse('{"queue":"billing"}', "stop", "desk-1", Usage(words, 4, 0))

    result = compile_it(knn, RealTransport(stubborn))
    assert result.outputs.artifact.params.few_shot is None
    assert not any("/indexes/" in name for name in tree(knn))
    assert len(result.outputs.receipt.subject) == 1


# --- what reads it back -------------------------------------------------------------------------


def test_a_strict_replay_derives_artifact_and_index_without_a_call(
    compiled: tuple[Project, CompileResult],
) -> None:
    project, result = compiled
    before = tree(project)
    run = result.folder.rsplit("/", 1)[-1]
    report = asyncio.run(replay_strict(Project.open(root=project.root), run, RunOptions()))
    assert report.winner == result.outputs.artifact.compiled_id
    assert tree(project) == before


def test_two_runs_write_the_same_bytes_at_any_concurrency(tmp_path: Path) -> None:
    trees = []
    for number, concurrency in enumerate((1, 7)):
        project = make_project(tmp_path / str(number), KNN)
        compile_it(project, real(), concurrency=concurrency)
        trees.append(tree(project))
    assert trees[0] == trees[1]


def test_a_prediction_embeds_its_input_once(compiled: tuple[Project, CompileResult]) -> None:
    project, result = compiled
    transport = real()

    async def go() -> Any:
        served = ServedPolicy(
            Project.open(root=project.root), NAME, options(transport), word=result.artifact_name
        )
        try:
            return await served.predict({"ticket": "a new note for [shipping]"})
        finally:
            await served.aclose()

    prediction = asyncio.run(go())
    assert prediction.output == {"queue": "shipping"}
    assert [request.task for request in transport.requests] == ["embed", None]
    assert prediction.usage.lm_calls == 2
    assert prediction.served_model == "desk-1"
    assert len(prediction.request_keys) == 2


def test_check_is_content_with_what_a_compile_wrote(
    compiled: tuple[Project, CompileResult],
) -> None:
    assert findings(compiled[0]) == []


# --- what is altered ----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["missing", "edited", "reformatted", "swapped"])
def test_an_index_that_is_not_the_one_is_an_integrity_error_that_names_its_file(
    compiled: tuple[Project, CompileResult], how: str
) -> None:
    project, result = compiled
    name = index_file(project)
    path = project.root / name
    text = path.read_text(encoding="utf-8")
    document = json.loads(text)
    if how == "missing":
        path.unlink()
    elif how == "edited":
        path.write_text(text.replace("127", "126", 1), encoding="utf-8")
    elif how == "reformatted":
        path.write_text(json.dumps(document), encoding="utf-8")
    else:
        document["demos"].reverse()
        path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    inputs = inputs_of(project)
    with pytest.raises(AlteredError) as caught:
        find_policy(inputs.store, inputs.signature, inputs.base, result.artifact_name)
    assert name in str(caught.value)
    assert any(name == one.file for one in verify_store(inputs.store, inputs.signature))
    run = result.folder.rsplit("/", 1)[-1]
    with pytest.raises(AlteredError):
        asyncio.run(replay_strict(Project.open(root=project.root), run, RunOptions()))


def test_an_index_that_no_artifact_uses_is_a_warning(
    compiled: tuple[Project, CompileResult],
) -> None:
    project, _ = compiled
    stray = project.root / "artifacts/route/indexes" / ("0" * 12 + ".json")
    stray.write_text("{}\n", encoding="utf-8")
    assert ("warning", "unused-index", f"artifacts/route/indexes/{'0' * 12}.json") in findings(
        project
    )


# --- what is refused before anything is spent ---------------------------------------------------


@pytest.mark.parametrize(
    ("job", "code"),
    [
        ({**KNN, "models": {"main": "desk"}}, "no-embedder"),
        ({**KNN, "models": {"main": "desk", "embedder": "local"}}, "not-an-embedder"),
        ({**KNN, "models": {"main": "lexical-embed", "embedder": "lexical-embed"}}, "not-a-model"),
        ({**KNN, "optimizer": {"id": "fewshot_knn.v1", "config": {"k": [3]}}}, "bad-config"),
        ({**KNN, "optimizer": {"id": "fewshot_knn.v1", "config": {"k": [1, 1]}}}, "bad-config"),
        ({**KNN, "optimizer": {"id": "fewshot_greedy_forward.v1"}}, "unused-model"),
        ({**KNN, "models": {"main": "desk", "embedder": "nobody"}}, "unknown-model"),
    ],
)
def test_a_job_that_cannot_embed_is_refused_at_its_line(
    tmp_path: Path, job: dict[str, Any], code: str
) -> None:
    project = make_project(tmp_path, job)
    transport = real()
    with pytest.raises(SpecError) as caught:
        compile_it(project, transport)
    assert [one.code for one in caught.value.diagnostics] == [code]
    assert caught.value.diagnostics[0].line > 0
    assert not transport.requests


def test_a_selector_in_the_signature_is_refused(tmp_path: Path) -> None:
    selector = {"id": "knn.v1", "k": 1, "embedder": LEXICAL.model, "index": "sha256:" + "0" * 64}
    few_shot = {"examples": [], "selector": selector}
    defaults = {"params": {"few_shot": few_shot}, "constraints": {"max_tokens": 32}}
    project = make_project(tmp_path, KNN, {"defaults": defaults})
    with pytest.raises(SpecError, match="selector"):
        inputs_of(project)


# --- budgets and outages ------------------------------------------------------------------------


def test_a_budget_that_ends_before_the_neighbours_leaves_the_base(tmp_path: Path) -> None:
    # A neighbour's cell may need three calls: an embedding, an answer and a repair.
    budget = {"budget": {"max_lm_calls": VAL + TRAIN + 3 * VAL - 1}}
    transport = real()
    result = compile_it(make_project(tmp_path, {**KNN, **budget}), transport)
    stop = result.outputs.artifact.optimizer.stop_reason
    assert stop.kind == "max_lm_calls"
    assert sum(request.task == "embed" for request in transport.requests) == TRAIN
    assert not any("/indexes/" in name for name in tree(Project.open(root=tmp_path)))
    small = make_project(tmp_path / "small", {**KNN, "budget": {"max_lm_calls": VAL}})
    with pytest.raises(BudgetExhaustedError):
        compile_it(small, real())


def test_the_plan_counts_the_embeddings(knn: Project) -> None:
    plan = asyncio.run(plan_compile(inputs_of(knn), RunOptions()))
    assert plan.queries == TRAIN
    result = compile_it(knn, real())
    charged = result.outputs.receipt.predicate.result.charged
    assert (charged["lm_calls"] or 0) <= plan.most.lm_calls
    # Each cell of neighbours is an embedding, an answer and a repair.
    assert plan.most.lm_calls == 3 * VAL * 3 + TRAIN
    assert plan.expected is not None
    assert plan.expected.lm_calls == charged["lm_calls"]
    # Every answer, and the embeddings of the pool and of val once each.
    assert plan.expected.paid_calls <= 3 * VAL + TRAIN + VAL


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole = make_project(tmp_path / "whole", KNN)
    compile_it(whole, real())
    broken = make_project(tmp_path / "broken", KNN)
    left = [VAL + TRAIN + 4]

    def dying(request: LmRequest) -> LmResponse:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return as_model(request)

    with pytest.raises((KeyboardInterrupt, DseError)):
        compile_it(broken, RealTransport(dying), concurrency=1)
    again = real()
    result = compile_it(broken, again, resume=True, concurrency=1)
    assert result.resumed_calls == VAL + TRAIN + 4
    assert tree(broken) == tree(whole)


def test_the_embedder_is_part_of_what_names_the_run(knn: Project) -> None:
    first = inputs_of(knn)
    assert first.run_inputs["models"]["embedder"] == LEXICAL.to_json()
    # The same alias may mean another model tomorrow.
    models = "models:\n  near: {model: openai/near}\n"
    edit(knn, "dse.yaml", "models:\n", models)
    edit(knn, f"signatures/{NAME}/compile.yaml", "embedder: lexical-embed", "embedder: near")
    then = inputs_of(knn).run_inputs_hash
    edit(knn, "dse.yaml", "openai/near", "openai/far")
    assert len({first.run_inputs_hash, then, inputs_of(knn).run_inputs_hash}) == 3


# --- what people see ----------------------------------------------------------------------------


def test_the_report_and_the_policy_name_the_selector_and_the_pool(
    compiled: tuple[Project, CompileResult],
) -> None:
    project, result = compiled
    inputs = inputs_of(project)
    named = find_policy(inputs.store, inputs.signature, inputs.base, result.artifact_name)
    lines = list(policy_lines(named.label, named.policy, named.artifact))
    assert "demo pool (6), of which each input is shown the one most like it" in lines
    assert f"  embedder  {LEXICAL.model}" in lines
    assert "  train-05 (labelled)" in lines
    shown = "\n".join(prompt_lines(named.policy))
    assert shown.startswith("(of 6 demos, the one most like it, stand before the input)")
    assert "train note" not in shown
    report = result.outputs.files.report.decode()
    assert f"the one most like it (`knn.v1` with `{LEXICAL.model}`" in report
    assert "`train-05`" in report


def test_a_diff_shows_the_selector_as_a_parameter(
    compiled: tuple[Project, CompileResult],
) -> None:
    project, result = compiled
    inputs = inputs_of(project)
    named = find_policy(inputs.store, inputs.signature, inputs.base, result.artifact_name)
    found = diff_policies(view_policy("base", inputs.base), view_policy("knn", named.policy))
    text = render_diff_text(found, color=False)
    assert "demos (0 -> 6)" in text
    assert "  few_shot.selector.k: not set -> 1" in text
    assert f'  few_shot.selector.embedder: not set -> "{LEXICAL.model}"' in text
