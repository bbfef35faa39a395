from __future__ import annotations

import asyncio
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from dse_cli.contracts.errors import (
    ExitCode,
    InfrastructureError,
    NothingSelectedError,
    ProviderError,
    StaleError,
    UsageError,
)
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.lm import LmRequest, LmResponse
from dse_cli.evaluation.views.outcomes import outcomes_of
from dse_cli.project.project import Project
from dse_cli.report.eval_json import eval_document
from dse_cli.report.eval_report import EvalReport
from dse_cli.workflows.compiles.compile import CompileResult
from dse_cli.workflows.evals.eval_publish import Outputs, file_findings, publish
from dse_cli.workflows.evals.eval_rows import Selection
from dse_cli.workflows.evals.eval_verdict import Thresholds, eval_verdict
from dse_cli.workflows.evals.evaluate import EvalRequest, plan_eval, run_eval
from dse_cli.workflows.inputs import load_inputs
from dse_cli.workflows.promotion.promote import promote_policy
from tests.e2e.running import git
from tests.lm.calls import RealTransport
from tests.workflows.desk import (
    GREEDY,
    NAME,
    VAL,
    as_model,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    real,
    rows,
    scripted,
    write,
)


def evaluate(
    project: Project,
    *,
    transport: Any = None,
    variant: str | None = None,
    run: Any = None,
    **asked: Any,
) -> EvalReport:
    inputs = load_inputs(Project.open(root=project.root), NAME, variant=variant)
    plan = plan_eval(inputs, EvalRequest(**asked))
    run_with = options(transport or real(), **(run or {}))
    return asyncio.run(run_eval(inputs, plan, run_with))


def on(**filters: Any) -> dict[str, Any]:
    return {"selection": Selection(**filters)}


def ids(report: EvalReport) -> list[str]:
    return [row.id for row in report.rows]


def down_for(word: str) -> RealTransport:
    def answer(request: LmRequest) -> LmResponse:
        if word in request.messages[-1].content:
            raise ProviderError("on fire", status=500)
        return as_model(request)

    return RealTransport(answer)


def promote(project: Project, compiled: CompileResult) -> None:
    word = compiled.artifact_name.removeprefix("compiled/")
    asyncio.run(promote_policy(inputs_of(project), word, options(real())))


def commit(root: Path) -> str:
    git(root, "init", "-q")
    (root / ".gitignore").write_text(".dse/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "x")
    return git(root, "rev-parse", "HEAD").strip()


def test_a_report_tells_what_was_measured_and_why_cells_failed(tmp_path: Path) -> None:
    report = evaluate(make_project(tmp_path))
    assert report.summary.mean == pytest.approx(1 / 3)
    assert (report.name, report.split, report.seed, len(report.rows)) == (NAME, "val", 7, VAL)
    outcomes = report.measured[0].outcomes
    assert (outcomes.perfect, outcomes.imperfect, outcomes.cells) == (3, 6, 9)
    wrong = next(cell for cell in report.measured[0].cells if cell.reward == 0)
    (failure,) = wrong.failures
    assert (failure.source, failure.got) == ("exact_match:queue", '"other"')
    assert report.charged.calls == report.paid.calls == VAL


def test_a_row_that_a_policy_shows_scores_none_of_those_compared(tmp_path: Path) -> None:
    project = make_project(tmp_path, GREEDY)
    compiled = compile_it(project, real())
    few_shot = compiled.outputs.artifact.params.few_shot
    assert few_shot is not None
    shown = {demo.id for demo in few_shot.examples}
    assert shown
    word = compiled.artifact_name.removeprefix("compiled/")
    report = evaluate(project, policy="default", against=word, **on(split="train"))
    train = {row["id"] for row in rows() if row["split"] == "train"}
    assert set(ids(report)) == train - shown
    named = ", ".join(sorted(shown)[:3])
    assert report.filters == f"without {len(shown)} shown as demos: {named}"
    assert report.baseline is not None
    assert set(report.baseline.summary.rows) == train - shown
    # A policy that shows none is measured on all of them.
    assert set(ids(evaluate(project, policy="default", **on(split="train")))) == train
    with pytest.raises(NothingSelectedError, match="scores no policy that shows it"):
        evaluate(project, policy=word, **on(split="train", ids=(min(shown),)))


def test_failed_selects_what_was_not_perfect_in_the_last_evaluation(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    first = evaluate(project)
    wrong = [row for row, reward in first.summary.rows.items() if reward != 1]
    assert len(wrong) == 6
    assert ids(evaluate(project, **on(failed=True))) == wrong
    (memory,) = (tmp_path / ".dse" / "evals" / NAME).iterdir()
    assert memory.name == "val.json"
    assert json.loads(memory.read_text())["dataset_revision"] == first.summary.dataset_revision
    assert ids(evaluate(project, **on(failed=True, limit=2))) == wrong[:2]
    # The last evaluation was of two rows, and --failed means the last one.
    assert ids(evaluate(project, **on(failed=True))) == wrong[:2]


def test_failed_counts_outages_and_other_filters_narrow_it(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    report = evaluate(project, transport=down_for("note 2 "), run={"max_error_rate": 0.5})
    assert report.summary.rows["val-02"] is None
    again = evaluate(project, **on(failed=True, tags=("even",)))
    assert "val-02" in ids(again)  # an outage, though its answer is right
    assert "val-01" not in ids(again)


def test_failed_still_finds_a_row_that_was_edited_and_forgets_one_that_is_gone(
    tmp_path: Path,
) -> None:
    project = make_project(tmp_path)
    evaluate(project, **on(ids=("val-00", "val-01")))
    file = tmp_path / "datasets/tickets/rows.jsonl"
    kept = [row for row in rows() if row["id"] != "val-01"]
    next(row for row in kept if row["id"] == "val-00")["input"]["ticket"] = "edited [billing]"
    file.write_text("".join(json.dumps(row) + "\n" for row in kept))
    assert ids(evaluate(project, **on(failed=True))) == ["val-00"]


def test_failed_without_an_evaluation_or_a_failure_selects_nothing(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with pytest.raises(NothingSelectedError, match="no evaluation of route on val") as none:
        evaluate(project, **on(failed=True))
    assert none.value.hint is not None
    assert f"dse eval {NAME}" in none.value.hint
    evaluate(project, **on(ids=("val-02",)))
    with pytest.raises(NothingSelectedError, match=r"nothing failed: .* 1 row of val"):
        evaluate(project, **on(failed=True))
    (tmp_path / ".dse" / "evals" / NAME / "val.json").write_text("{")
    with pytest.raises(NothingSelectedError, match="cannot be read"):
        evaluate(project, **on(failed=True))


def test_each_split_and_job_has_its_own_last_evaluation(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    job = tmp_path / "signatures" / NAME / "compile.yaml"
    job.with_name("compile.fast.yaml").write_text(job.read_text())
    evaluate(project, **on(ids=("val-00",)))
    evaluate(project, variant="fast", **on(ids=("val-01",)))
    evaluate(project, **on(split="train", ids=("train-00",)))
    folder = tmp_path / ".dse" / "evals" / NAME
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["train.json", "val.fast.json", "val.json"]
    assert ids(evaluate(project, variant="fast", **on(failed=True))) == ["val-01"]


def test_a_row_of_another_split_is_said_to_be_there(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    for row, split, advice in (
        ("train-00", "train", "add --split train"),
        ("holdout-00", "holdout", "'dse promote' only"),
    ):
        with pytest.raises(NothingSelectedError) as refused:
            evaluate(project, **on(ids=("val-00", row)))
        assert refused.value.message == f"{row} is in {split}, not in val"
        assert advice in (refused.value.hint or "")
    assert ids(evaluate(project, **on(split="train", ids=("train-00",)))) == ["train-00"]


def test_an_id_or_a_tag_that_no_row_has_is_a_wrong_command_line(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    with pytest.raises(UsageError, match="no row has the id val-0x") as unknown:
        evaluate(project, **on(ids=("val-0x",)))
    assert (unknown.value.hint or "").startswith("did you mean 'val-0")
    with pytest.raises(UsageError, match="no row has the tag evne") as wrong:
        evaluate(project, **on(tags=("evne",)))
    assert wrong.value.hint == "did you mean 'even'?"
    with pytest.raises(NothingSelectedError):
        evaluate(project, **on(ids=("val-01",), tags=("even",)))


def test_a_report_says_what_selected_its_rows(tmp_path: Path) -> None:
    report = evaluate(make_project(tmp_path), **on(tags=("even",), sample=3, limit=2))
    assert (report.split_rows, report.filters) == (VAL, "--tag even --sample 3 --limit 2")
    assert Selection(ids=tuple("abcde"), failed=True).written == (
        "--id a --id b --id c and 2 more --failed"
    )


def test_slices_are_compared_over_the_rows_that_both_answered(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compile_it(project, real())
    report = evaluate(project, against="latest")
    assert report.comparison is not None
    (even, *_) = report.comparison.slices
    assert (even.tag, even.other) == ("even", 1)
    assert even.delta == pytest.approx(even.mean - 1)
    document = eval_document(report, eval_verdict(report, Thresholds()))
    assert document["slice_differences"][0]["tag"] == "even"


def test_a_sample_is_drawn_with_the_seed_that_was_asked_for(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    job_seed = ids(evaluate(project, **on(sample=4)))
    assert ids(evaluate(project, seed=7, **on(sample=4))) == job_seed
    drawn = {tuple(ids(evaluate(project, seed=seed, **on(sample=4)))) for seed in range(6)}
    assert len(drawn) > 1
    assert evaluate(project, seed=0).seed == 0  # 0 is a seed


def test_repeats_give_pass_rates_and_how_often_rollouts_agree(tmp_path: Path) -> None:
    def wavering(request: LmRequest) -> LmResponse:
        answer = as_model(request)
        if request.rollout == 1 and "note 2 " in request.messages[-1].content:
            return LmResponse('{"queue": "billing"}', "stop", "desk-1", answer.usage)
        return answer

    report = evaluate(
        make_project(tmp_path), transport=RealTransport(wavering), repeat=2, **on(limit=3)
    )
    repeat = report.summary.repeat
    assert repeat is not None
    assert repeat.pass_at_k == pytest.approx(1 / 3)
    assert repeat.pass_hat_k == 0.0
    assert report.summary.mean == pytest.approx(1 / 6)
    assert report.measured[0].outcomes.consistent == pytest.approx(2 / 3)


def test_latest_is_what_the_last_compile_wrote(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compiled = compile_it(project, real())
    report = evaluate(project, policy="latest", against="default")
    assert report.measured[0].compiled_id == compiled.outputs.artifact.compiled_id
    comparison = report.comparison
    assert comparison is not None
    assert (comparison.against, comparison.test.wins, comparison.test.losses) == ("default", 6, 0)
    assert [pair.id for pair in comparison.rows.won] == [
        f"val-{number:02d}" for number in (0, 1, 3, 4, 6, 7)
    ]
    assert comparison.tokens is not None
    assert comparison.tokens > 0  # the longer instruction
    document = eval_document(report, eval_verdict(report, Thresholds()))
    assert len(document["rows_won"]) == 6
    assert document["rows_lost"] == []
    assert document["against"] == document["baseline"]["policy"]["compiled_id"]


def two_models(root: Path) -> Project:
    project = make_project(root)
    spec = yaml.safe_load((root / "dse.yaml").read_text())
    spec["models"]["sharp"] = {"model": "openai/sharp", "max_retries": 0}
    write(root, "dse.yaml", spec)
    return project


def sharp_is_right(request: LmRequest) -> LmResponse:
    answer = as_model(request)
    if request.identity.model != "openai/sharp":
        return answer
    ticket = json.loads(request.messages[-1].content)["ticket"]
    queue = ticket.split("[")[1].split("]")[0]
    return LmResponse(json.dumps({"queue": queue}), "stop", "sharp-1", answer.usage)


def test_each_model_is_a_line_compared_with_the_policy_as_it_is(tmp_path: Path) -> None:
    report = evaluate(
        two_models(tmp_path),
        transport=RealTransport(sharp_is_right),
        models=("sharp", "desk", "sharp"),
    )
    assert [line.alias for line in report.measured] == ["sharp", "desk"]
    assert report.baseline is not None
    assert report.baseline.label == "default"
    means = [line.summary.mean for line in report.measured]
    assert means == [1.0, pytest.approx(1 / 3)]
    deltas = [line.comparison.test.delta for line in report.measured if line.comparison]
    assert deltas == [pytest.approx(2 / 3), 0.0]
    # The same model is the same policy: its cells are not asked twice.
    assert report.charged.calls == 2 * VAL
    document = eval_document(report, eval_verdict(report, Thresholds()))
    assert [line["policy"]["model"] for line in document["models"]] == [
        "openai/sharp",
        "openai/desk",
    ]
    assert "summary" not in document


def test_models_are_compared_with_another_policy_when_there_is_one(tmp_path: Path) -> None:
    project = two_models(tmp_path)
    compile_it(project, real())
    report = evaluate(
        project,
        transport=RealTransport(sharp_is_right),
        models=("sharp",),
        against="latest",
    )
    assert report.baseline is not None
    assert report.baseline.summary.mean == 1.0
    assert report.comparison is not None
    assert report.comparison.test.delta == 0.0


def test_a_model_that_nobody_knows_is_refused_with_the_nearest_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no model alias 'shrap'") as wrong:
        evaluate(two_models(tmp_path), models=("shrap",))
    assert wrong.value.hint == "did you mean 'sharp'?"


def test_a_policy_of_an_older_commit_is_measured_on_the_rows_of_today(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    first = commit(tmp_path)
    edit(project, f"signatures/{NAME}/signature.yaml", "Choose the queue.", "See the brackets.")
    report = evaluate(project, policy="default", against=f"default@{first[:10]}")
    assert report.baseline is not None
    assert report.baseline.label.startswith(f"default@{first[:10]} ")
    assert report.summary.mean == 1.0
    assert report.baseline.summary.mean == pytest.approx(1 / 3)
    assert report.comparison is not None
    assert len(report.comparison.rows.won) == 6


def test_the_promoted_policy_of_another_branch_is_read_from_its_tree(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compiled = compile_it(project, real())
    promote(project, compiled)
    commit(tmp_path)
    git(tmp_path, "branch", "base")
    # This branch rolls back by hand: the authored policy is active again.
    for path in (tmp_path / "artifacts" / NAME).glob("*.yaml"):
        path.unlink()
    report = evaluate(project, against="active@base")
    assert report.measured[0].label == "default"
    assert report.baseline is not None
    assert report.baseline.compiled_id == compiled.outputs.artifact.compiled_id
    assert report.comparison is not None
    assert report.comparison.test.delta == pytest.approx(-2 / 3)
    assert git(tmp_path, "status", "--porcelain", "--", "datasets", "signatures") == ""


def test_a_project_in_a_folder_of_a_repository_is_compared_too(tmp_path: Path) -> None:
    project = make_project(tmp_path / "tools" / "prompts")
    signature = tmp_path / "tools/prompts/signatures" / NAME / "signature.yaml"
    spec = yaml.safe_load(signature.read_text())
    spec["prompt"].append({"context": [{"key": "policy", "blob": "../../shared/policy.md"}]})
    write(project.root, f"signatures/{NAME}/signature.yaml", spec)
    blob = project.root / "shared" / "policy.md"
    blob.parent.mkdir()
    blob.write_text("Old rule.\n")
    commit(tmp_path)
    blob.write_text("New rule.\n")
    report = evaluate(project, policy="default", against="default@HEAD", **on(limit=1))
    assert report.baseline is not None
    assert report.baseline.compiled_id != report.measured[0].compiled_id


def test_a_revision_that_cannot_be_read_is_refused_with_what_to_do(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    with pytest.raises(UsageError, match="git rev-parse refused"):
        evaluate(project, against="default@HEAD")
    commit(tmp_path / "p")
    with pytest.raises(UsageError, match="git knows no revision 'nowhere'") as unknown:
        evaluate(project, against="active@nowhere")
    assert unknown.value.hint is not None
    assert "fetch" in unknown.value.hint
    for word in ("active@", "active@--help"):
        with pytest.raises(UsageError, match="is not a git revision"):
            evaluate(project, against=word)
    with pytest.raises(UsageError, match="names no policy at a revision"):
        evaluate(project, against="latest@HEAD")


def test_without_git_a_revision_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="there is no git on the PATH"):
        evaluate(make_project(tmp_path / "p"), against="active@HEAD")


def test_a_signature_of_another_shape_or_not_there_yet_is_refused(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    signature = tmp_path / "signatures" / NAME / "signature.yaml"
    now = signature.read_text()
    edit(project, f"signatures/{NAME}/signature.yaml", "- other", "- other\n    - later")
    first = commit(tmp_path)
    signature.write_text(now)
    with pytest.raises(UsageError, match=r"the output of @test/desk/Route\.v1 had another shape"):
        evaluate(project, against=f"default@{first}")
    git(tmp_path, "rm", "-rq", "--cached", f"signatures/{NAME}")
    git(tmp_path, "commit", "-qm", "gone")
    with pytest.raises(UsageError, match=f"there is no signatures/{NAME}/signature.yaml at HEAD"):
        evaluate(project, against="default@HEAD")


def test_a_broken_project_at_a_revision_says_where(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    edit(project, "dse.yaml", "default_model: desk", "default_model: dsek")
    first = commit(tmp_path)
    edit(project, "dse.yaml", "default_model: dsek", "default_model: desk")
    with pytest.raises(UsageError, match=f"at {first} the project cannot be read: dse.yaml"):
        evaluate(project, against=f"default@{first}")


def test_a_stale_policy_at_a_revision_is_a_stale_policy(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compiled = compile_it(project, real())
    promote(project, compiled)
    edit(project, f"signatures/{NAME}/signature.yaml", "Choose the queue.", "Which queue?")
    commit(tmp_path)
    edit(project, f"signatures/{NAME}/signature.yaml", "Which queue?", "Choose the queue.")
    with pytest.raises(StaleError, match="at HEAD: the active policy of route is stale"):
        evaluate(project, against="active@HEAD")


def test_thresholds_are_met_exactly_or_fail_with_one_line(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    compile_it(project, real())
    report = evaluate(project, against="latest")
    met = eval_verdict(report, Thresholds(fail_under=1 / 3, max_regression=2 / 3))
    assert (met.outcome, met.exit_code, met.messages) == ("evaluated", ExitCode.DONE, ())
    failed = eval_verdict(report, Thresholds(fail_under=0.5, max_regression=0.02))
    assert (failed.outcome, failed.exit_code) == ("under_threshold", ExitCode.QUALITY)
    under, regression = map(str, failed.messages)
    assert under == (
        "under threshold: the mean of default is 33.3 points (n = 9, 95 % CI 12.1 to 64.6), "
        "below the 50.0 that --fail-under asks for"
    )
    assert regression.startswith("regression: -66.7 points (100.0 -> 33.3, n = 9, paired, p = ")
    assert regression.endswith(" is worse than the allowed 2.0")
    assert "\n" not in under + regression


def test_a_threshold_that_is_no_number_is_refused() -> None:
    for name in ("fail_under", "max_regression", "max_error_rate"):
        for value in (float("nan"), 1.5, -0.1):
            with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} must be"):
                Thresholds(**{name: value})
    with pytest.raises(UsageError, match="not 90") as points:
        Thresholds(fail_under=90)
    assert points.value.hint == "0.9 is 90 points"


def test_outages_over_the_limit_end_the_evaluation_with_a_report(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    broken = down_for("note 2 ")
    report = evaluate(project, transport=broken, against="default", run={"max_error_rate": 0.1})
    assert report.baseline is None  # nothing more was spent
    assert report.summary.n == VAL - 1
    assert report.measured[0].outcomes.outages == {"provider": 1}
    verdict = eval_verdict(report, Thresholds(fail_under=0.9, max_error_rate=0.1))
    assert (verdict.outcome, verdict.exit_code) == ("infrastructure", ExitCode.INFRASTRUCTURE)
    (message,) = verdict.messages
    assert message.text.startswith("1 of 9 cells of default have no answer (provider 1), the limit")
    assert "the limit is 10.0 %; " in message.text
    assert "on val-02" in message.text
    within = evaluate(project, transport=broken, run={"max_error_rate": 0.2})
    assert eval_verdict(within, Thresholds(max_error_rate=0.2)).exit_code == ExitCode.DONE


def test_when_nothing_is_answered_the_run_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="and none has one") as given_up:
        evaluate(make_project(tmp_path), transport=down_for("note"))
    assert given_up.value.hint is not None
    assert "--resume" not in given_up.value.hint  # dse eval has no such option


def test_a_metric_that_fails_on_some_rows_is_a_mistake_and_not_an_outage(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    report = evaluate(project, transport=down_for("note 2 "), run={"max_error_rate": 1.0})
    (line,) = report.measured
    metric = CellError("metric", "python:f failed: signatures/x/metrics.py:3: f raised KeyError")
    cells = tuple(replace(cell, error=metric) if cell.is_outage else cell for cell in line.cells)
    failed = replace(line, cells=cells, outcomes=outcomes_of(cells))
    verdict = eval_verdict(replace(report, measured=(failed,)), Thresholds(max_error_rate=0))
    assert (verdict.outcome, verdict.exit_code) == ("metric", ExitCode.USAGE)
    (message,) = verdict.messages
    assert "1 of 9 cells of default cannot be scored" in message.text
    assert "signatures/x/metrics.py:3" in message.text
    assert "trying again does not help" in message.text
    both = eval_verdict(replace(report, measured=(failed, line)), Thresholds(max_error_rate=0))
    assert (both.outcome, both.exit_code) == ("infrastructure", ExitCode.INFRASTRUCTURE)


def test_a_threshold_on_rows_without_any_score_is_an_outage(tmp_path: Path) -> None:
    report = evaluate(
        make_project(tmp_path),
        transport=down_for("note 2 "),
        run={"max_error_rate": 1.0},
        **on(ids=("val-02",)),
    )
    verdict = eval_verdict(report, Thresholds(fail_under=0.1))
    assert verdict.outcome == "infrastructure"


def test_the_files_that_were_asked_for_are_written(tmp_path: Path) -> None:
    project = make_project(tmp_path / "p")
    report = evaluate(project)
    verdict = eval_verdict(report, Thresholds(fail_under=0.9))
    outputs = Outputs(tmp_path / "out" / "junit.xml", tmp_path / "out" / "summary.md")
    step = tmp_path / "step.md"
    step.write_text("before\n")
    publish(report, verdict, outputs, {"GITHUB_STEP_SUMMARY": str(step)})
    assert outputs.junit is not None
    assert outputs.markdown is not None
    cases = ET.fromstring(outputs.junit.read_bytes()).findall(".//testcase")  # noqa: S314 - our own
    assert len(cases) == VAL
    assert sum(case.find("failure") is not None for case in cases) == 6
    assert cases[0].attrib["file"] == "datasets/tickets/rows.jsonl"
    markdown = outputs.markdown.read_text()
    assert markdown.startswith(f"## dse eval {NAME}: under threshold\n")
    assert step.read_text() == f"before\n{markdown}\n"
    publish(report, verdict, Outputs(), {})


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_spent(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Outputs(junit=tmp_path).check()
    same = tmp_path / "x"
    with pytest.raises(UsageError, match="the same file"):
        Outputs(same, same).check()
    with pytest.raises(UsageError, match="the same file"):
        Outputs(same, tmp_path / "y" / ".." / "x").check()
    with pytest.raises(UsageError, match="not a regular file"):
        Outputs(markdown=Path("/dev/null")).check()
    for place in (tmp_path, tmp_path / "no" / "where"):
        with pytest.raises(UsageError, match="GITHUB_STEP_SUMMARY names"):
            Outputs().check({"GITHUB_STEP_SUMMARY": str(place)})
    same.touch()
    with pytest.raises(UsageError, match="cannot be written"):
        Outputs(junit=same / "below").check()
    Outputs(same, tmp_path / "new" / "folder" / "y").check()
    report = evaluate(make_project(tmp_path / "p"), **on(limit=1))
    nowhere = {"GITHUB_STEP_SUMMARY": str(tmp_path)}
    with pytest.raises(InfrastructureError, match="GITHUB_STEP_SUMMARY"):
        publish(report, eval_verdict(report, Thresholds()), Outputs(), nowhere)


def test_findings_point_at_rows_and_at_the_reward_of_the_job(tmp_path: Path) -> None:
    project = make_project(tmp_path / "repo" / "prompts")
    report = evaluate(project)
    verdict = eval_verdict(report, Thresholds(fail_under=0.9))
    inputs = inputs_of(project)
    assert file_findings(inputs, report, verdict, {}) == []
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path / "repo")}
    error, *warnings = file_findings(inputs, report, verdict, actions)
    assert (error.severity, error.code) == ("error", "under-threshold")
    assert error.file == f"prompts/signatures/{NAME}/compile.yaml"
    text = (project.root / "signatures" / NAME / "compile.yaml").read_text().splitlines()
    assert text[error.line - 1].startswith("reward:")
    assert [found.severity for found in warnings] == ["warning"] * 6
    first = warnings[0]
    assert first.file == "prompts/datasets/tickets/rows.jsonl"
    lines = (project.root / "datasets/tickets/rows.jsonl").read_text().splitlines()
    assert json.loads(lines[first.line - 1])["id"] == "val-00"
    assert re.match(r"val-00: 0\.0, exact_match:queue: ", first.message)


def test_a_scripted_model_can_be_measured_and_says_so(tmp_path: Path) -> None:
    assert evaluate(make_project(tmp_path), transport=scripted()).summary.scripted


def test_rows_in_groups_are_counted_as_groups(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    edit(project, "datasets/tickets/dataset.yaml", "split:", "group: customer\nsplit:")
    grouped = [{**row, "customer": f"c{number // 3}"} for number, row in enumerate(rows())]
    file = tmp_path / "datasets/tickets/rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in grouped))
    report = evaluate(project)
    assert (len(report.rows), report.groups) == (9, 3)
    assert evaluate(make_project(tmp_path / "plain")).groups is None
