from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dse_cli.contracts.errors import InfrastructureError, ProviderError, SpecError
from dse_cli.contracts.history import PolicyRef
from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.layer import Layer
from dse_cli.project.project import Project
from dse_cli.registry.history import read_history
from dse_cli.registry.json_text import json_file_bytes
from dse_cli.report.gate_text import gate_lines
from dse_cli.runtime.policy import Policy
from dse_cli.workflows.policies import NamedPolicy
from dse_cli.workflows.promotion.gate import GateRun, run_gate
from tests.lm.calls import RealTransport
from tests.workflows.desk import HOLDOUT, Counting, as_model, edit, inputs_of, real, write
from tests.workflows.desk import options as run_options

QUIET: dict[str, Any] = {"guards": {"slices": False, "decode_failures": False}}
PROMISE: dict[str, Any] = {"margin": 0.15, "non_inferiority": {"saving": {"tokens": 0.2}}}


def gate(
    project: Project,
    rules: dict[str, Any],
    transport: Layer,
    *,
    max_error_rate: float = 0.05,
    **options: Any,
) -> GateRun:
    """Run the gate between the authored policy, and one that is told where the answer stands."""
    write_rules(project, rules)
    inputs = inputs_of(project)
    told = inputs.base.patched({"instruction": {"text": "It stands in brackets."}})
    candidate, baseline = _named("told", told), _named("default", inputs.base)

    async def go() -> GateRun:
        holdout = inputs.rows("holdout")
        run = run_options(transport, max_error_rate=max_error_rate)
        return await run_gate(inputs, candidate, baseline, holdout, run, **options)

    return asyncio.run(go())


def _named(label: str, policy: Policy) -> NamedPolicy:
    ref = PolicyRef(compiled_id=policy.id, artifact=None, artifact_digest=None)
    return NamedPolicy(label, policy, None, ref)


def write_rules(project: Project, rules: dict[str, Any]) -> None:
    write(
        project.root,
        "dse.yaml",
        {
            "dse": "project/v1",
            "models": {"desk": {"model": "openai/desk", "max_retries": 0, "concurrency": 64}},
            "default_model": "desk",
            "gate": rules,
        },
    )


def is_told(request: LmRequest) -> bool:
    return "brackets" in request.messages[0].content


def answering(change: Callable[[LmRequest, LmResponse], LmResponse]) -> Layer:
    return RealTransport(lambda request: change(request, as_model(request)))


def tokens(told: int | None, other: int, *, alike: bool = True) -> Layer:
    """A model whose answers use so many tokens; both policies are right when ``alike``."""

    def change(request: LmRequest, response: LmResponse) -> LmResponse:
        used = told if is_told(request) else other
        text = response.text
        if alike:
            ticket = json.loads(request.messages[-1].content)["ticket"]
            text = json.dumps({"queue": ticket.split("[")[1].split("]")[0]})
        return replace(response, text=text, usage=Usage(used, 4, 0))

    return answering(change)


def test_a_baseline_that_shows_what_is_holdout_now_is_refused_at_the_row(project: Project) -> None:
    write_rules(project, QUIET)
    inputs = inputs_of(project)
    holdout = inputs.rows("holdout")
    row = holdout[1]
    demo = {"id": row.id, "input": row.input, "output": row.expected, "source": "bootstrapped"}
    told = inputs.base.patched({"instruction": {"text": "It stands in brackets."}})
    shows = inputs.base.patched({"few_shot": {"examples": [demo]}})
    model = Counting(real())
    run = run_gate(
        inputs, _named("told", told), _named("active", shows), holdout, run_options(model)
    )
    with pytest.raises(SpecError, match="active shows as demos") as refused:
        asyncio.run(run)
    (found,) = refused.value.diagnostics
    assert (found.file, found.line, found.code) == (row.file, row.line, "holdout-shown")
    assert found.message.endswith(row.id)
    assert not model.asked


def test_plain_evidence_has_no_field_that_says_nothing(project: Project) -> None:
    evidence = gate(project, QUIET, real()).evidence
    assert evidence.verdict == "promote"
    written = evidence.to_json()
    assert not {"guards", "mode", "saving", "lower_bound", "reason"} & set(written)
    assert type(evidence).model_validate_json(json_file_bytes(written)) == evidence


def test_guards_are_in_the_evidence_and_a_cheerful_gate_names_them(project: Project) -> None:
    evidence = gate(project, {}, real()).evidence
    assert evidence.verdict == "promote"
    assert [guard.name for guard in evidence.guards] == ["decode_failures"]
    assert list(gate_lines(evidence)) == [
        evidence.line,
        "guards: 1 of 1 held (decode failures)",
    ]


def test_a_gain_that_costs_too_many_tokens_trips_the_guard(project: Project) -> None:
    evidence = gate(project, {"guards": {"tokens": 0.5}}, tokens(100, 20, alike=False)).evidence
    assert evidence.comparison.p < evidence.level
    assert evidence.verdict == "guard"
    assert evidence.reason == ("tokens: +333.3 % (allowed +50.0 %), n = 24, adjusted p < 0.001")
    assert f"guard: {evidence.reason}" in list(gate_lines(evidence))


def test_a_gain_with_answers_that_cannot_be_decoded_trips_the_guard(project: Project) -> None:
    def answer(request: LmRequest) -> LmResponse:
        first = next(m.content for m in request.messages if m.content.startswith('{"ticket"'))
        if is_told(request) and int(first.split()[2]) % 4 == 1:
            return LmResponse("{", "stop", "desk-1", Usage(20, 4, 0))
        return as_model(request)

    evidence = gate(project, {}, RealTransport(answer)).evidence
    assert evidence.comparison.p < evidence.level
    assert evidence.verdict == "guard"
    assert evidence.reason == ("decode failures: +25.0 % of answers, n = 24, adjusted p = 0.008")


def silent(where: Callable[[int], bool], policy: Callable[[LmRequest], bool]) -> Layer:
    """A provider that is down for some rows of one policy; the other one is right a third."""

    def answer(request: LmRequest) -> LmResponse | Exception:
        first = next(m.content for m in request.messages if m.content.startswith('{"ticket"'))
        if policy(request) and where(int(first.split()[2])):
            return ProviderError("down")
        return as_model(request)

    return RealTransport(answer)


def test_a_gain_that_rests_on_answers_that_the_candidate_owes_is_not_shown(
    project: Project,
) -> None:
    # It answers only where the baseline is wrong: of 24 rows it wins 16, and would lose 8.
    transport = silent(lambda row: row % 3 == 2, is_told)
    evidence = gate(project, {}, transport, max_error_rate=0.5).evidence
    assert (evidence.comparison.n, evidence.comparison.wins) == (16, 16)
    assert evidence.comparison.p < evidence.level
    assert evidence.verdict == "cannot_tell"
    assert evidence.reason == (
        "the candidate has outages where the baseline answered, and counted as wrong they leave "
        "+33.3 points (33.3 -> 66.7, n = 24, paired, p = 0.054, 95 % CI -8.3 to +66.7)"
    )


def test_too_many_outages_are_no_look_and_the_hint_is_a_command_that_exists(
    project: Project,
) -> None:
    with pytest.raises(InfrastructureError, match="8 of 24 cells have no answer") as caught:
        gate(project, {}, silent(lambda row: row % 3 == 2, is_told))
    assert "no look; run it again" in (caught.value.hint or "")
    assert read_history(inputs_of(project).store) == ()


@pytest.mark.parametrize("policy", [is_told, lambda request: not is_told(request)])
def test_a_gain_that_outages_could_not_undo_is_promoted(
    project: Project, policy: Callable[[LmRequest], bool]
) -> None:
    evidence = gate(project, {}, silent(lambda row: row == 3, policy)).evidence
    assert evidence.comparison.n == HOLDOUT - 1
    assert (evidence.verdict, evidence.reason) == ("promote", None)


def test_the_second_mode_does_not_rest_on_outages_either(project: Project) -> None:
    def answer(request: LmRequest) -> LmResponse | Exception:
        ticket = json.loads(request.messages[-1].content)["ticket"]
        if is_told(request) and int(ticket.split()[2]) % 4 == 1:
            return ProviderError("down")
        text = json.dumps({"queue": ticket.split("[")[1].split("]")[0]})
        used = Usage(10 if is_told(request) else 40, 4, 0)
        return replace(as_model(request), text=text, usage=used)

    rules = {**PROMISE, "margin": 0.25}
    run = gate(project, rules, RealTransport(answer), max_error_rate=0.5, mode="non_inferiority")
    assert run.evidence.lower_bound is not None
    assert run.evidence.lower_bound > -0.25
    assert run.evidence.verdict == "cannot_tell"
    assert "has outages where the baseline answered" in (run.evidence.reason or "")


def test_rollouts_are_the_same_for_both_and_averaged_per_row(project: Project) -> None:
    counting = Counting(real())
    evidence = gate(project, {"rollouts": 3}, counting).evidence
    assert len(counting.requests) == 2 * HOLDOUT * 3
    assert evidence.comparison.n == HOLDOUT
    for summary in (evidence.candidate, evidence.baseline):
        assert summary.repeat is not None
        assert summary.repeat.rollouts == 3


def test_a_cheaper_policy_that_is_as_good_passes_the_second_mode(project: Project) -> None:
    evidence = gate(project, PROMISE, tokens(10, 40), mode="non_inferiority").evidence
    assert evidence.verdict == "promote"
    assert evidence.mode == "non_inferiority"
    assert evidence.lower_bound is not None
    assert -0.15 < evidence.lower_bound < 0
    (saving,) = evidence.saving
    assert (saving.name, saving.promised, saving.shown) == ("tokens", 0.2, True)
    assert saving.observed == pytest.approx(1 - 14 / 44)
    assert "lower bound -13.8 points, margin 15.0; tokens saved: 68.2 % measured" in evidence.line
    written = json_file_bytes(evidence.to_json())
    assert json_file_bytes(type(evidence).model_validate_json(written).to_json()) == written


def test_without_the_second_mode_a_policy_that_is_as_good_stays(project: Project) -> None:
    assert gate(project, PROMISE, tokens(10, 40)).evidence.verdict == "no_change"


def test_a_saving_below_the_promise_does_not_pass(project: Project) -> None:
    evidence = gate(project, PROMISE, tokens(36, 40), mode="non_inferiority").evidence
    assert evidence.verdict == "cannot_tell"
    assert evidence.reason == (
        "a saving of tokens above 20.0 % is not shown (9.1 % measured, p = 1.000)"
    )


def test_a_margin_too_narrow_for_so_few_rows_does_not_pass(project: Project) -> None:
    rules = {**PROMISE, "margin": 0.02}
    evidence = gate(project, rules, tokens(10, 40), mode="non_inferiority").evidence
    assert evidence.verdict == "cannot_tell"
    assert evidence.reason == ("the lower bound of the difference, -13.8 points, is not above -2.0")


def test_unknown_usage_never_passes_a_rule_about_tokens(project: Project) -> None:
    evidence = gate(project, {"guards": {"tokens": 0.5}}, tokens(None, 20, alike=False)).evidence
    assert evidence.comparison.p < evidence.level
    assert evidence.verdict == "cannot_tell"
    assert evidence.reason == (
        "the tokens of 24 rows could not be told, and gate.guards.tokens needs them all"
    )


def refused(project: Project, rules: dict[str, Any], **options: Any) -> tuple[str, int, str]:
    counting = Counting(real())
    with pytest.raises(SpecError) as caught:
        gate(project, rules, counting, **options)
    assert counting.requests == []
    (found,) = caught.value.diagnostics
    return found.file, found.line, found.message


@pytest.mark.parametrize(
    ("rules", "mode"),
    [
        ({"guards": {"cost": 0.5}}, "superiority"),
        ({"non_inferiority": {"saving": {"cost": 0.5}}}, "non_inferiority"),
    ],
)
def test_a_rule_about_cost_without_a_price_is_refused_before_the_holdout_is_opened(
    project: Project, rules: dict[str, Any], mode: str
) -> None:
    file, line, message = refused(project, rules, mode=mode)
    text = (project.root / "dse.yaml").read_text().splitlines()
    assert file == "dse.yaml"
    assert "cost: 0.5" in text[line - 1]
    assert message == "a rule about cost needs prices, and none is known for openai/desk"


def test_a_saving_that_was_never_promised_cannot_pass(project: Project) -> None:
    file, _, message = refused(project, {}, mode="non_inferiority")
    assert file == "dse.yaml"
    assert "no saving is promised" in message


def test_a_promise_about_cost_does_not_bind_the_first_mode(project: Project) -> None:
    rules = {**QUIET, "non_inferiority": {"saving": {"cost": 0.5}}}
    assert gate(project, rules, real()).evidence.verdict == "promote"


def test_a_holdout_of_3_rows_is_refused_before_it_is_opened(project: Project) -> None:
    path = project.root / "datasets/tickets/rows.jsonl"
    few = [
        line
        for line in path.read_text().splitlines()
        if '"holdout"' not in line or json.loads(line)["id"] < "holdout-03"
    ]
    path.write_text("\n".join(few) + "\n")
    file, line, message = refused(project, {})
    assert (file, line) == ("datasets/tickets/dataset.yaml", 5)
    assert message == (
        "the holdout has 3 rows; no exact test of so few can reach level 0.025: "
        "at least 6 are needed"
    )


def test_rows_of_one_group_do_not_make_a_holdout_larger(project: Project) -> None:
    path = project.root / "datasets/tickets/rows.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for index, row in enumerate(rows):
        row["customer"] = f"c{index % 4}"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    edit(project, "datasets/tickets/dataset.yaml", "id: tickets", "id: tickets\ngroup: customer")
    _, _, message = refused(project, {})
    assert "the holdout has 4 groups" in message
    assert "24 rows" in message
