"""The plan of a compile: bounds that hold, a rehearsal that asks nobody, a floor."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dse_cli.contracts.base import Contract
from dse_cli.contracts.errors import BudgetExhaustedError, UsageError
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.optimizers.search import Optimizer, Registered, Search, SearchPlan
from dse_cli.workflows.plans.made_up import made_up
from dse_cli.workflows.plans.plan import Plan, plan_compile
from dse_cli.workflows.plans.plan_text import plan_lines
from dse_cli.workflows.plans.rehearsal import TooLargeError, rehearse
from tests.workflows.desk import (
    CALLS,
    JOBS,
    NAME,
    VAL,
    Counting,
    compile_it,
    edit,
    inputs_of,
    make_project,
    options,
    tree,
)
from tests.workflows.searched import SEARCHES, job, real, scripted

ALL = {**JOBS, **{name: job(name) for name in SEARCHES}}


def plan_of(root: Path, work: dict[str, Any], **more: Any) -> Plan:
    inputs = inputs_of(make_project(root, work))
    counting = Counting(scripted())
    plan = asyncio.run(plan_compile(inputs, options(counting, **more)))
    assert counting.requests == []
    return plan


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_plan_asks_nobody_and_bounds_what_the_run_is_charged(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, ALL[name])
    assert tree(inputs_of(make_project(tmp_path, ALL[name])).project) == {}
    result = compile_it(make_project(tmp_path, ALL[name]), scripted())
    receipt = result.outputs.receipt.predicate.result
    charged = {key: value or 0 for key, value in receipt.charged.items()}
    assert plan.expected is not None
    for most in (plan.most, plan.whole):
        assert charged["metric_calls"] <= most.metric_calls
        assert charged["lm_calls"] <= most.lm_calls
        assert charged["tokens"] <= (most.tokens or 0)
    assert len(receipt.proposals) <= plan.queries
    assert len(receipt.candidates) <= plan.candidates
    assert plan.expected.metric_calls <= plan.most.metric_calls
    assert plan.expected.lm_calls <= plan.most.lm_calls
    assert 0 < (plan.expected.tokens or 0) <= (plan.most.tokens or 0)


def test_what_a_grid_is_expected_to_ask_is_what_it_asks(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, JOBS["grid"])
    assert plan.expected is not None
    assert plan.expected.metric_calls == plan.expected.lm_calls == CALLS
    assert plan.expected.paid_calls == CALLS
    assert plan.expected.evaluations == 3
    assert plan.stop is None
    assert plan.shortages == ()


def test_what_the_cache_can_answer_is_not_to_be_paid(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    assert plan_of(tmp_path / "a", JOBS["grid"], cache=cache).to_json()["expected"][
        "paid_calls"
    ] == (CALLS)
    assert not cache.exists()
    base_only = {**JOBS["grid"], "budget": {"max_metric_calls": VAL}}
    compile_it(make_project(tmp_path / "b", base_only), real(), cache=cache)
    again = plan_of(tmp_path / "c", JOBS["grid"], cache=cache)
    assert again.expected is not None
    assert again.expected.paid_calls == CALLS - VAL
    assert f"to pay          {CALLS - VAL} of those expected" in "\n".join(plan_lines(again))
    # The base of a search that proposes is a cell like any other.
    mipro = plan_of(tmp_path / "d", job("mipro"), cache=cache)
    assert mipro.expected is not None
    assert mipro.expected.paid_calls <= mipro.expected.lm_calls - VAL


@pytest.mark.parametrize("name", sorted(ALL))
def test_two_plans_of_one_job_are_equal(name: str, tmp_path: Path) -> None:
    plans = [plan_of(tmp_path / str(index), ALL[name]).to_json() for index in range(2)]
    assert plans[0] == plans[1]


@pytest.mark.parametrize("cap", [VAL, 2 * VAL - 1, 2 * VAL, 3 * VAL - 1])
def test_a_plan_says_where_the_budget_will_end_the_search(cap: int, tmp_path: Path) -> None:
    work = {**JOBS["grid"], "budget": {"max_metric_calls": cap}}
    plan = plan_of(tmp_path, work)
    stop = compile_it(make_project(tmp_path, work), scripted()).outputs.artifact.optimizer
    assert plan.stop is not None
    assert (plan.stop.limit, plan.stop.batch) == (stop.stop_reason.kind, stop.stop_reason.batch)
    assert plan.stop.evaluation == cap // VAL + 1
    assert plan.expected is not None
    assert plan.expected.metric_calls == plan.metric_calls == cap // VAL * VAL
    [line] = [line for line in plan_lines(plan) if line.startswith("budget")]
    assert line.startswith(
        f"budget          max_metric_calls: the search is expected to stop before evaluation "
        f"{cap // VAL + 1} of 3"
    )


def test_a_limit_that_only_the_worst_case_is_over_is_named(tmp_path: Path) -> None:
    work = {**JOBS["grid"], "budget": {"max_metric_calls": 400, "max_lm_calls": 2 * CALLS - 1}}
    plan = plan_of(tmp_path, work)
    assert [shortage.limit for shortage in plan.shortages] == ["max_lm_calls"]
    assert plan.stop is None
    assert f"max_lm_calls = {2 * CALLS - 1} may end the search: at worst {2 * CALLS}" in "\n".join(
        plan_lines(plan)
    )


@pytest.mark.parametrize("name", ["mipro", "simba", "propose"])
def test_longer_answers_of_the_proposer_make_a_dearer_plan(name: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path / "a", job(name))
    assert plan.whole.tokens is not None
    # One text of a proposer is at least 256 tokens long at most, of four bytes each.
    grid = plan_of(tmp_path / "b", JOBS["grid"])
    assert grid.whole.tokens is not None
    per_cell = plan.whole.tokens / plan.whole.metric_calls
    assert per_cell > grid.whole.tokens / grid.whole.metric_calls + 4 * 256


class Asking(Optimizer[Contract]):
    """Asks the proposer before it measures anything."""

    id: ClassVar[str] = "asking.v1"
    revision: ClassVar[int] = 1
    searches: ClassVar[frozenset[str]] = frozenset()
    needs_space: ClassVar[bool] = False
    meta: ClassVar[tuple[Any, ...]] = ("rewrite_instruction",)

    async def search(self, search: Search, config: Contract) -> None:
        from dse_cli.optimizers.proposals.proposer import Ask, Proposer

        proposer = Proposer(search, temperature=1.0, stream="asking")
        value = {"basic_instruction": search.base.instruction, "program": ""}
        asks = [Ask("rewrite_instruction", value, f"asking/{number}") for number in range(3)]
        for found in await proposer.instructions(asks, known=[], label="asking"):
            policy = search.base.patched({"instruction": {"text": found.text}})
            await search.try_policy(policy, "asked", None)
        await search.try_base()

    def most_candidates(self, search: Search, config: Contract) -> int:
        return 4

    def plan(self, search: Search, config: Contract) -> SearchPlan:
        return SearchPlan(4, 4 * len(search.val), queries=3)


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setitem(OPTIMIZERS, Asking.id, Registered(Asking(), Contract))
    return {"optimizer": {"id": Asking.id}, "search_space": {}}


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        ({"max_metric_calls": VAL - 1}, "max_metric_calls"),
        ({"max_lm_calls": 2 * VAL - 1}, "max_lm_calls"),
        ({"max_tokens": 500}, "max_tokens"),
    ],
)
def test_the_floor_is_checked_before_a_proposer_is_asked(
    asking: dict[str, Any], budget: dict[str, int], name: str, tmp_path: Path
) -> None:
    work = {**asking, "budget": budget}
    counting = Counting(scripted())
    with pytest.raises(BudgetExhaustedError) as stopped:
        compile_it(make_project(tmp_path, work), counting)
    assert stopped.value.budget == name
    assert stopped.value.needed > stopped.value.limit
    assert "one pass of the base" in (stopped.value.hint or "")
    assert counting.requests == []
    plan = plan_of(tmp_path, work)
    assert not plan.covers_floor
    assert "budget          does not cover the floor: the search cannot start" in plan_lines(plan)


def test_questions_are_counted_apart_and_among_the_calls(
    asking: dict[str, Any], tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, {**asking, "budget": {"max_metric_calls": 400}})
    assert plan.expected is not None
    assert (plan.queries, plan.expected.queries) == (3, 3)
    assert plan.expected.lm_calls == plan.expected.metric_calls + 3 == 4 * VAL + 3
    said = "questions       at most 3 to the proposer, among the calls, 3 expected"
    assert said in plan_lines(plan)


def test_a_share_that_covers_few_questions_is_said(asking: dict[str, Any], tmp_path: Path) -> None:
    # 400 calls, a share of two of them; no repair of a meta-signature is worth its price.
    budget = {"max_metric_calls": 400, "max_lm_calls": 400, "proposer_share": 0.005}
    work = {**asking, "budget": budget}
    plan = plan_of(tmp_path, work)
    assert plan.share_covers == 2
    said = "share           of the proposer covers about 2 of the 3 expected questions; "
    assert f"{said}the search goes on without the rest" in plan_lines(plan)
    result = compile_it(make_project(tmp_path, work), scripted()).outputs.receipt.predicate.result
    outcomes = [proposal.outcome for proposal in result.proposals]
    assert outcomes.count("no_budget") == 1
    assert plan_of(tmp_path, {**asking, "budget": {"max_lm_calls": 400}}).share_covers is None


def test_a_limit_on_tokens_that_nothing_bounds_is_refused_with_the_plan(tmp_path: Path) -> None:
    project = make_project(tmp_path, {**JOBS["grid"], "budget": {"max_tokens": 10**6}})
    edit(project, f"signatures/{NAME}/signature.yaml", "    max_tokens: 32\n", "")
    with pytest.raises(UsageError, match="not bounded"):
        asyncio.run(plan_compile(inputs_of(project), options(scripted())))


def test_a_large_search_is_not_rehearsed_and_the_plan_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = inputs_of(make_project(tmp_path, JOBS["grid"]))
    with pytest.raises(TooLargeError):
        asyncio.run(rehearse(inputs, most_cells=CALLS - 1))
    assert len(asyncio.run(rehearse(inputs, most_cells=CALLS)).batches) == 3
    monkeypatch.setattr("dse_cli.workflows.plans.plan.MOST_CELLS", 1)
    plan = plan_of(tmp_path, JOBS["grid"])
    assert plan.expected is None
    assert f"expected        not rehearsed: it may evaluate {CALLS} cells" in plan_lines(plan)


def test_a_made_up_answer_has_the_shape_of_its_schema() -> None:
    schema = {
        "properties": {
            "text": {"type": "string", "maxLength": 30},
            "items": {"type": "array", "items": {"type": "string"}},
            "done": {"type": "boolean"},
            "kind": {"enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 2},
            "maybe": {"type": ["number", "null"]},
            "any": True,
            "inner": {"type": "object", "properties": {"note": {"type": "string"}}},
        }
    }
    made = made_up(schema, "name", 1000)
    assert made["text"].startswith("Made up") or made["text"].startswith("name")
    assert len(made["text"]) <= 30
    assert len(set(made["items"])) == 3
    assert (made["done"], made["kind"], made["count"]) == (False, "a", 2)
    assert isinstance(made["inner"]["note"], str)
    assert made_up(schema, "other", 1000) != made
