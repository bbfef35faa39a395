from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import (
    BudgetExhaustedError,
    DseError,
    ExitCode,
    MetricFailedError,
    SpecError,
    StaleError,
)
from dse_cli.contracts.lm import LmRequest
from dse_cli.evaluation.candidate import Candidate
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.project.project import Project
from dse_cli.registry.findings import AlteredFileError
from dse_cli.report.eval_text import eval_lines
from dse_cli.workflows.checks.check import check_project
from dse_cli.workflows.evals.evaluate import EvalRequest, plan_eval, run_eval
from dse_cli.workflows.plans.plan import plan_compile
from dse_cli.workflows.replays.replay import replay_strict
from dse_cli.workflows.session import RunOptions, open_session
from tests.evaluation.judges.judged import GRADE, PAIR
from tests.lm.calls import RealTransport
from tests.workflows.court import (
    COMPILE,
    VAL,
    as_model,
    compile_one,
    judge_with,
    load,
    make_court,
    pin,
    rule,
    scripted,
    with_judges,
)
from tests.workflows.desk import Counting, edit, tree

#: Model calls of one cell: the reply, the grade, and the comparison in both orders.
CALLS = 4


@pytest.fixture
def court(tmp_path: Path) -> Project:
    return with_judges(tmp_path)


def problems(project: Project) -> list[Diagnostic]:
    with pytest.raises((SpecError, AlteredFileError)) as error:
        load(project)
    return list(error.value.diagnostics)


def only(project: Project) -> Diagnostic:
    [found] = problems(project)
    return found


def line_of(project: Project, text: str) -> int:
    lines = (project.root / COMPILE).read_text(encoding="utf-8").splitlines()
    [number] = [number for number, line in enumerate(lines, 1) if text in line]
    return number


# --- compiling with judges ----------------------------------------------------------------------


def test_a_compile_with_judges_names_them_in_artifact_receipt_and_report(court: Project) -> None:
    result = compile_one(court, "reply", scripted())
    artifact = result.outputs.artifact
    assert artifact.baseline.mean == pytest.approx((0.25 + 0.5) / 2)
    assert artifact.evaluation.mean == pytest.approx((1.0 + 0.5) / 2)
    judges = artifact.baseline.judges
    assert judges is not None
    pinned = {judge.signal: judge for judge in load(court).judges}
    assert list(judges) == ["judge:grader", "pairwise_judge:duel"] == list(pinned)
    for signal, found in judges.items():
        assert found.compiled_id == pinned[signal].policy.id
        assert found.models == ("openai/desk",)
        assert found.judged == VAL
    assert judges["judge:grader"].disagreements is None
    assert judges["pairwise_judge:duel"].disagreements == VAL, "the first answer always wins"
    needed = result.outputs.receipt.predicate.buildDefinition.resolvedDependencies
    digests = {resource.name: resource.digest.sha256 for resource in needed}
    for judge in pinned.values():
        assert digests[f"judge:{judge.index}/policy"] == judge.policy.id.removeprefix("sha256:")
        assert digests[f"judge:{judge.index}/artifact"] == judge.digest.removeprefix("sha256:")
    assert artifact.provenance.models["judge:1"].asked == "openai/desk"
    report = result.outputs.files.report.decode()
    assert "@test/judges/Duel.v1" in report
    assert "the two orders disagreed on 0" in report, "the winner replies as the reference does"


def test_what_judges_use_is_charged_and_not_held_against_the_policy(court: Project) -> None:
    result = compile_one(court, "reply", RealTransport(as_model))
    evaluation = result.outputs.artifact.evaluation
    assert evaluation.lm_calls == VAL
    assert (evaluation.prompt_tokens, evaluation.completion_tokens) == (10 * VAL, 5 * VAL)
    charged = result.outputs.receipt.predicate.result.charged
    assert charged["lm_calls"] == 2 * CALLS * VAL
    assert charged["tokens"] == 15 * 2 * CALLS * VAL
    assert not evaluation.scripted


def test_a_report_with_a_scripted_judge_is_scripted(court: Project) -> None:
    def only_judges(request: LmRequest) -> Any:
        answer = as_model(request)
        return answer if "judge:" not in request.path else rule(request)

    class Mixed:
        """Real replies, scripted judges."""

        def __init__(self) -> None:
            self.real, self.script = RealTransport(as_model), ScriptedTransport(only_judges)

        async def complete(self, request: LmRequest) -> Any:
            layer = self.script if "judge:" in request.path else self.real
            return await layer.complete(request)

        async def aclose(self) -> None:
            pass

    assert compile_one(court, "reply", Mixed()).outputs.artifact.evaluation.scripted


def test_a_strict_replay_needs_no_model_and_writes_the_same_bytes(court: Project) -> None:
    result = compile_one(court, "reply", scripted())
    before = tree(court)
    run = result.folder.removeprefix("receipts/")
    opened = Project.open(root=court.root)
    report = asyncio.run(replay_strict(opened, run, RunOptions()))
    assert report.winner == result.outputs.artifact.compiled_id
    # Equal requests are paid once; a transcript has each place where one was asked.
    assert report.served == 2 * CALLS * VAL
    assert tree(court) == before


def test_the_transcript_has_the_calls_of_judges_by_their_path(court: Project) -> None:
    result = compile_one(court, "reply", scripted())
    paths = [json.loads(line)["path"] for line in result.outputs.files.calls.decode().splitlines()]
    steps = {path.split("/", 3)[3] for path in paths}
    assert steps == {
        "step=predict/attempt=0",
        "step=judge:0/attempt=0",
        "step=judge:1/order=ab/attempt=0",
        "step=judge:1/order=ba/attempt=0",
    }


def test_a_warm_cache_pays_nothing_and_charges_the_same(court: Project, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    cold = compile_one(court, "reply", RealTransport(as_model), cache=cache)
    counting = Counting(RealTransport(as_model))
    warm = compile_one(court, "reply", counting, cache=cache)
    assert counting.requests == []
    assert warm.outputs == cold.outputs


def test_a_replay_with_another_judge_is_refused(court: Project) -> None:
    run = compile_one(court, "reply", scripted()).folder.removeprefix("receipts/")
    pinned = load(court).judges[0].policy.id[7:19]
    edit(court, "signatures/grader/compile.yaml", "authored.v1", "instruction_grid.v1")
    text = (court.root / "signatures/grader/compile.yaml").read_text(encoding="utf-8")
    space = "search_space: {instructions: [{id: b, text: You grade well.}]}\n"
    (court.root / "signatures/grader/compile.yaml").write_text(text + space, encoding="utf-8")
    result = compile_one(court, "grader", scripted())
    edit(court, COMPILE, pinned, result.artifact_name)
    opened = Project.open(root=court.root)
    with pytest.raises(StaleError, match="judge:0/artifact"):
        asyncio.run(replay_strict(opened, run, RunOptions()))


def test_a_run_and_a_reward_are_those_of_their_judges(court: Project) -> None:
    inputs = load(court)
    other = inputs.reward.pinned({0: inputs.judges[1].policy.id, 1: inputs.judges[1].policy.id})
    assert inputs.reward.hash != other.hash
    names = [judge["artifact"] for judge in inputs.run_inputs["judges"]]
    assert names == [judge.digest for judge in inputs.judges]
    plain = load(court, "grader")
    assert "judges" not in plain.run_inputs
    assert plain.judges == ()


def test_a_batch_that_a_time_stop_undoes_is_forgotten_with_its_judges(court: Project) -> None:
    inputs = load(court)

    async def go() -> tuple[list[str], list[str]]:
        async with open_session(
            inputs.catalog,
            inputs.reward,
            RunOptions(transport=scripted()),
            seed=7,
            judges=inputs.judges,
        ) as session:
            await session.engine.evaluate(Candidate.of(inputs.base), inputs.rows("val"))
            before = list(session.gateway.transcript.paths())
            session.engine._roll_back(["/".join(before[0].split("/")[:3])])
            return before, list(session.gateway.transcript.paths())

    before, after = asyncio.run(go())
    assert len(before) == CALLS * VAL
    assert len(after) == CALLS * (VAL - 1)
    assert not [path for path in after if path.startswith("/".join(before[0].split("/")[:3]))]


def test_both_fields_of_a_pair_must_take_both_answers(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    edit(project, "signatures/duel/signature.yaml", "two: string", "two: integer")
    edit(project, "datasets/duels/rows.jsonl", '"two": "No."', '"two": 0')
    judge_with(project, {"pairwise_judge": {**PAIR, "artifact": pin(project, "duel")}})
    found = problems(project)
    assert [one.line for one in found] == [line_of(project, "ours:"), line_of(project, "theirs:")]
    assert all("'two' must be of type integer" in one.message for one in found)


def test_an_evaluation_shows_who_judged(court: Project) -> None:
    inputs = load(court)
    plan = plan_eval(inputs, EvalRequest(policy="default", repeat=2))
    report = asyncio.run(run_eval(inputs, plan, RunOptions(transport=RealTransport(as_model))))
    [measured] = report.measured
    judges = measured.summary.judges
    assert judges is not None
    assert judges["pairwise_judge:duel"].judged == 2 * VAL
    assert judges["pairwise_judge:duel"].disagreements == 2 * VAL
    assert measured.summary.lm_calls == 2 * VAL
    shown = "\n".join(eval_lines(report))
    assert "@test/judges/Grader.v1" in shown
    assert f"the two orders disagreed on {2 * VAL}" in shown


# --- outages and budgets ------------------------------------------------------------------------


def test_a_judge_that_is_down_ends_the_run_and_never_scores_0(court: Project) -> None:
    broken = ScriptedTransport(lambda r: "what?" if "judge:0" in r.path else rule(r))
    with pytest.raises(MetricFailedError, match="the judge's answer could not be read"):
        compile_one(court, "reply", broken)


def test_a_budget_counts_the_calls_of_judges_before_they_are_made(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    signal = {"pairwise_judge": {**PAIR, "artifact": pin(project, "duel")}}
    # One pass of the base is 4 replies and 8 comparisons.
    judge_with(project, signal, budget={"max_lm_calls": 11})
    counting = Counting(scripted())
    with pytest.raises(BudgetExhaustedError):
        compile_one(project, "reply", counting)
    assert counting.requests == []
    judge_with(project, signal, budget={"max_lm_calls": 12})
    result = compile_one(project, "reply", counting)
    assert result.outputs.artifact.optimizer.stop_reason.kind == "max_lm_calls"
    assert result.outputs.receipt.predicate.result.charged["lm_calls"] == 12


def test_a_plan_prices_the_judges_too(court: Project) -> None:
    plan = asyncio.run(plan_compile(load(court), RunOptions(transport=scripted())))
    assert plan.most.lm_calls == 2 * CALLS * VAL
    assert plan.floor.lm_calls == CALLS * VAL
    assert plan.most.tokens is not None


# --- what is refused before anything is spent ---------------------------------------------------


def test_a_judge_without_an_artifact_is_told_how_to_get_one(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    judge_with(
        project, {"judge": {key: value for key, value in GRADE.items() if key != "artifact"}}
    )
    found = only(project)
    assert (found.file, found.line) == (COMPILE, line_of(project, "- judge:"))
    assert found.message == "the judge 'grader' is not pinned to a compiled artifact"
    assert found.hint is not None
    assert "'dse compile grader'" in found.hint
    assert "'dse list grader'" in found.hint


@pytest.mark.parametrize(
    ("change", "line", "message", "hint"),
    [
        ({"signature": "gradr"}, "signature: gradr", "no signature 'gradr'", "'grader'?"),
        ({"signature": "reply"}, "signature: reply", "kind task", "kind: judge"),
        ({"artifact": "abcdef"}, "artifact: abcdef", "no artifact 'abcdef'", "there are"),
        ({"inputs": {"task": "input.tickt", "answer": "output"}}, "task: input.tickt",
         "leads nowhere", "'ticket'?"),
        ({"inputs": {"task": "expected.note", "answer": "output"}}, "task: expected.note",
         "leads nowhere", "fields: reply"),
        ({"inputs": {"task": "input", "anser": "output", "answer": "output"}}, "anser: output",
         "no input field 'anser'", "'answer'?"),
        ({"inputs": {"answer": "output"}}, "inputs:", "needs 'task'", "add it to inputs"),
        ({"score": "scor"}, "score: scor", "answers no field 'scor'", "'score'?"),
        ({"score": "reason"}, "score: reason", "must be a number", None),
        ({"feedback": "score"}, "feedback: score", "must be a text", None),
        ({"scale": [0, 4]}, "score: score", "can be 5, which is off the scale 0 to 4", "[1, 5]"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_at_its_line(
    tmp_path: Path, change: dict[str, Any], line: str, message: str, hint: str | None
) -> None:
    project = make_court(tmp_path)
    pinned = pin(project, "grader")
    judge_with(project, {"judge": {**GRADE, "artifact": pinned, **change}})
    found = only(project)
    assert (found.file, found.line) == (COMPILE, line_of(project, line))
    assert message in found.message
    assert hint is None or (found.hint is not None and hint in found.hint)


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        ({"first": "won"}, "first: won", "no input field 'won'"),
        ({"theirs": "expected.answer"}, "theirs: expected.answer", "leads nowhere"),
        ({"winner": "reason"}, "winner: reason", "not one of a, b and tie"),
    ],
)
def test_what_does_not_fit_a_pairwise_judge_is_named_at_its_line(
    tmp_path: Path, change: dict[str, Any], line: str, message: str
) -> None:
    project = make_court(tmp_path)
    judge_with(project, {"pairwise_judge": {**PAIR, "artifact": pin(project, "duel"), **change}})
    number = line_of(project, line)
    assert any(message in found.message and found.line == number for found in problems(project))


def test_an_answer_that_could_escape_its_judge_is_refused(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    pinned = pin(project, "grader")
    edit(project, "signatures/reply/signature.yaml", "reply: string",
         "reply: {type: string, optional: true}")  # fmt: skip
    judge_with(project, {"judge": {**GRADE, "artifact": pinned}})
    assert "may be absent from an output" in only(project).message


def test_a_value_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    edit(project, "signatures/grader/signature.yaml", "answer: string", "answer: integer")
    edit(project, "datasets/grades/rows.jsonl", '"answer": "Soon, by post."', '"answer": 1')
    judge_with(project, {"judge": {**GRADE, "artifact": pin(project, "grader")}})
    assert "must be of type integer" in only(project).message


def test_a_row_that_a_judge_cannot_be_shown_is_named_at_its_line(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    edit(project, "signatures/reply/signature.yaml", "ticket: string",
         "ticket: string\n  note: {type: string, optional: true}")  # fmt: skip
    inputs = {"task": "input.note", "answer": "output.reply"}
    judge_with(project, {"judge": {**GRADE, "artifact": pin(project, "grader"), "inputs": inputs}})
    found = problems(project)
    assert [(one.file, one.line) for one in found] == [
        ("datasets/replies/rows.jsonl", number) for number in range(1, VAL + 1)
    ]
    assert "needs 'input.note', and this row has none" in found[0].message


def test_an_altered_judge_is_an_integrity_error_at_its_line(court: Project) -> None:
    judge = load(court).judges[0]
    edit(court, judge.artifact, '"temperature": 0', '"temperature": 1')
    with pytest.raises(DseError) as error:
        load(court)
    assert error.value.exit_code == ExitCode.INTEGRITY
    found = only(court)
    assert (found.file, found.line) == (COMPILE, line_of(court, judge.policy.id[7:19]))
    assert found.outcome == "altered"


def test_a_stale_judge_says_what_changed(court: Project) -> None:
    edit(court, "signatures/duel/signature.yaml", "You compare.", "You compare well.")
    found = only(court)
    assert (found.file, found.code, found.outcome) == (COMPILE, "stale-judge", "stale")
    assert "the prompt changed since it was compiled" in found.message
    assert found in check_project(Project.open(root=court.root))


def test_a_judge_that_is_not_unique_is_refused(court: Project) -> None:
    other = ScriptedTransport(lambda r: rule(r).replace("by the reference", "otherwise"))
    compile_one(court, "grader", other)
    found = only(court)
    assert "means more than one artifact" in found.message
    assert found.hint is not None
    assert "whole name" in found.hint


def test_a_judge_whose_model_the_project_does_not_know_is_refused(court: Project) -> None:
    edit(court, "dse.yaml", "openai/desk", "openai/other")
    found = problems(court)
    assert {one.code for one in found} == {"unknown-model"}
    assert "openai/desk" in found[0].message


def test_nothing_is_asked_when_a_judge_is_wrong(tmp_path: Path) -> None:
    project = make_court(tmp_path)
    judge_with(project, {"judge": {**GRADE, "artifact": "abcdef"}})
    counting = Counting(scripted())
    with pytest.raises(SpecError):
        compile_one(project, "reply", counting)
    assert counting.requests == []
