from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.contracts.evaluation import Cell, CellError, Failure
from dse_cli.contracts.job import SearchSpace
from dse_cli.evaluation.candidate import Candidate
from dse_cli.optimizers.archive import Entry
from dse_cli.optimizers.search import Search
from dse_cli.optimizers.simba.buckets import (
    Bucket,
    Thresholds,
    Trajectory,
    by_interest,
    thresholds,
)
from dse_cli.optimizers.simba.pool import Member, Pool, draw_member
from dse_cli.optimizers.simba.schedule import minibatch, winner_places
from dse_cli.optimizers.simba.strategies import (
    Draft,
    advice_ask,
    drop_demos,
    showing,
    with_demo,
    with_rule,
)
from dse_cli.runtime.policy import Policy
from tests.evaluation.cells import BASE, FakeRunner, make_engine, make_rows
from tests.runtime.policies import make_policy

LEVELS = Thresholds(0.1, 0.9)
ROW = Row("row-1", {"ticket": "help"}, {"queue": "billing"}, "train")


def entry(text: str = "Choose the queue.") -> Entry:
    policy = BASE.patched({"instruction": {"text": text}})
    return Entry(Candidate.of(policy), text, None)


def demo(name: str, source: str = "bootstrapped") -> dict[str, Any]:
    return {"id": name, "input": {"ticket": name}, "output": {"queue": "other"}, "source": source}


def with_demos(*names: str) -> Policy:
    return BASE.patched({"few_shot": {"examples": [demo(name) for name in names]}})


def trajectory(reward: float, output: Any = None, **cell: Any) -> Trajectory:
    said = {"queue": "billing"} if output is None else output
    values = {"candidate": "c", "example": ROW.id, "example_hash": ROW.hash, "rollout": 0}
    return Trajectory(entry(), Cell(reward=reward, output=said, **{**values, **cell}), reward)


def bucket(*rewards: float, row: Row = ROW) -> Bucket:
    return Bucket(row, [trajectory(reward) for reward in rewards])


def draft(found: Bucket, policy: Policy = BASE) -> Draft:
    return Draft(0, found, entry(), policy, 0, "append_a_demo")


# The pool


def test_the_best_programs_are_drawn_from_and_the_base_is_always_among_them() -> None:
    base = entry()
    pool = Pool(base)
    assert [member.entry for member in pool.top(3)] == [base]
    means = {"a": 0.2, "b": 0.9, "c": 0.9, "d": 0.5}
    pool.add([Member(entry(name), mean) for name, mean in means.items()])
    assert [member.entry.origin for member in pool.top(3)] == ["b", "c", base.origin]
    assert [member.entry.origin for member in pool.top(1)] == [base.origin]
    assert [member.entry.origin for member in pool.top(9)] == ["b", "c", "d", "a", base.origin]


def test_a_program_without_a_score_counts_as_zero_in_a_draw() -> None:
    base, other = Member(entry()), Member(entry("b"), 0.2)
    draw = random.Random(1)
    drawn = [draw_member(draw, [base, other], 0.2) for _ in range(5000)]
    assert sum(member is other for member in drawn) / 5000 == pytest.approx(0.731, abs=0.03)


def test_a_row_does_not_score_a_program_that_shows_it() -> None:
    member = Member(Entry(Candidate.of(with_demos("row-1")), "", None))
    assert not member.may_score(ROW)
    assert Member(entry()).may_score(ROW)


# Buckets


def test_rows_whose_samples_differ_most_come_first_then_the_best_then_the_luckiest() -> None:
    rows = make_rows(5, "train")
    buckets = [
        bucket(0.5, 0.5, 0.5, row=rows[0]),
        bucket(1.0, 1.0, 0.5, row=rows[1]),
        bucket(0.5, 0.5, 0.0, row=rows[2]),
        bucket(1.0, 0.5, 0.5, row=rows[3]),
        bucket(0.0, 1.0, 0.5, row=rows[4]),
    ]
    order = [found.row.id for found in by_interest(buckets)]
    assert order == ["r004", "r003", "r001", "r002", "r000"]


def test_of_equal_samples_the_first_drawn_is_the_best() -> None:
    found = bucket(0.5, 1.0, 1.0, 0.0, 0.0)
    assert found.good is found.trajectories[1]
    assert found.bad is found.trajectories[4]


def test_thresholds_are_the_percentiles_of_numpy() -> None:
    draw = random.Random(2)
    for _ in range(20):
        sizes = [draw.randint(1, 6) for _ in range(draw.randint(1, 9))]
        buckets = [bucket(*(draw.choice([0.0, 0.25, 1.0]) for _ in range(n))) for n in sizes]
        rewards = [t.reward for found in buckets for t in found.trajectories]
        assert thresholds(buckets) == pytest.approx(tuple(np.percentile(rewards, [10, 90])))


# Strategies


def test_a_full_program_always_loses_a_demo() -> None:
    policy = with_demos("a", "b", "c", "d")
    left = [len(drop_demos(policy, 4, random.Random(seed)).demos) for seed in range(200)]
    assert max(left) == 3
    assert min(left) < 2


def test_how_many_demos_go_is_a_matter_of_how_many_there_are() -> None:
    policy = with_demos("a")
    gone = sum(not drop_demos(policy, 4, random.Random(seed)).demos for seed in range(2000))
    # Poisson with mean 1/4 is above 0 in 22.1 % of draws
    assert gone / 2000 == pytest.approx(0.221, abs=0.04)
    assert drop_demos(BASE, 4, random.Random(0)) is BASE


def test_without_room_for_demos_a_third_is_too_many() -> None:
    three, two = with_demos("a", "b", "c"), with_demos("a", "b")
    assert all(len(drop_demos(three, 0, random.Random(seed)).demos) < 3 for seed in range(50))
    assert any(len(drop_demos(two, 0, random.Random(seed)).demos) == 2 for seed in range(50))


def test_demos_that_stay_keep_their_order() -> None:
    policy = with_demos("a", "b", "c", "d")
    for seed in range(50):
        kept = [demo.id for demo in drop_demos(policy, 4, random.Random(seed)).demos]
        assert kept == sorted(kept)


def test_a_policy_without_its_added_demos_is_the_policy_that_it_was() -> None:
    assert showing(with_demos("a"), []).id == BASE.id
    authored = make_policy(prompt=[{"instruction": "Go."}, {"few_shot": [demo("x", "authored")]}])
    assert showing(authored, []).id != authored.id
    assert showing(showing(authored, []), authored.demos).id == authored.id


def test_the_best_trajectory_becomes_the_last_demo() -> None:
    found = Bucket(ROW, [trajectory(0.0), trajectory(1.0, {"queue": "billing"})])
    policy = with_demo(draft(found, with_demos("a")), LEVELS)
    assert policy is not None
    last = policy.demos[-1].to_json()
    assert [shown.id for shown in policy.demos] == ["a", "row-1"]
    assert last == {
        "id": "row-1",
        "input": {"ticket": "help"},
        "output": {"queue": "billing"},
        "source": "bootstrapped",
    }


def test_a_row_is_shown_once_with_its_new_answer() -> None:
    policy = with_demo(draft(bucket(1.0, 0.0), with_demos("row-1", "a")), LEVELS)
    assert policy is not None
    assert [(shown.id, shown.output["queue"]) for shown in policy.demos] == [
        ("a", "other"),
        ("row-1", "billing"),
    ]


def test_a_low_best_and_no_answer_are_no_demo() -> None:
    assert with_demo(draft(bucket(0.1, 0.0)), LEVELS) is None
    failed = Trajectory(entry(), Cell("c", ROW.id, ROW.hash, 0, 0.5), 0.5)
    assert with_demo(draft(Bucket(ROW, [failed])), LEVELS) is None


def asked(found: Bucket, levels: Thresholds = LEVELS) -> dict[str, Any] | None:
    ask = advice_ask(draft(found), levels, "simba/x", "")
    return None if ask is None else dict(ask.value)


def test_advice_contrasts_the_best_with_the_worst() -> None:
    note = Failure("mismatch", "exact_match:queue", "got other, expected billing")
    worse = trajectory(0.25, {"queue": "other"}, failures=(note,))
    value = asked(Bucket(ROW, [worse, trajectory(1.0)]))
    assert value is not None
    assert (value["better_score"], value["worse_score"]) == (1.0, 0.25)
    assert value["better"].splitlines() == [
        'input: {"ticket": "help"}',
        'output: {"queue": "billing"}',
        'expected: {"queue": "billing"}',
    ]
    assert 'output: {"queue": "other"}' in value["worse"]
    assert value["worse"].endswith("feedback: got other, expected billing")


def test_an_answer_that_did_not_decode_is_shown_as_what_was_wrong() -> None:
    error = CellError("decode", "no JSON object found")
    failed = Trajectory(entry(), Cell("c", ROW.id, ROW.hash, 0, 0.0, error=error), 0.0)
    value = asked(Bucket(ROW, [trajectory(1.0), failed]))
    assert value is not None
    assert "output: none: no JSON object found" in value["worse"]


@pytest.mark.parametrize("rewards", [(0.1, 0.0), (1.0, 0.9), (1.0, 1.0), (0.0, 0.0)])
def test_advice_is_not_asked_where_all_is_low_or_all_is_high(rewards: tuple[float, ...]) -> None:
    assert asked(bucket(*rewards)) is None


def test_between_equals_only_the_worse_is_shown() -> None:
    value = asked(bucket(0.5, 0.5))
    assert value is not None
    assert (value["better"], value["better_score"]) == ("N/A", None)
    assert value["worse_score"] == 0.5


def test_a_rule_stands_at_the_end_of_the_instruction() -> None:
    policy = with_rule(draft(bucket(1.0)), "If it is about money, say billing.")
    assert policy is not None
    assert policy.instruction == "Choose the queue.\n\nIf it is about money, say billing."
    assert with_rule(draft(bucket(1.0)), "x" * 200_000) is None


# The schedule


def test_at_most_seven_winners_are_measured_by_default() -> None:
    assert winner_places(8, 6) == [0, 1, 3, 4, 5, 7, 8]
    assert winner_places(3, 6) == [0, 1, 2, 3]
    assert winner_places(8, 1) == [0, 8]
    assert winner_places(0, 6) == [0]
    assert all(len(winner_places(m + 1, 6)) >= len(winner_places(m, 6)) for m in range(40))


def searched(train: list[Row], base: Policy = BASE, seed: int = 7) -> Search:
    engine = make_engine(FakeRunner())
    return Search.start(
        engine, base, train=train, val=make_rows(2, prefix="v"), space=SearchSpace(), seed=seed
    )


def batches(train: list[Row], bsize: int, steps: int, seed: int = 7) -> list[list[str]]:
    search = searched(train, seed=seed)
    return [[row.id for row in minibatch(search, bsize, step)] for step in range(steps)]


def test_minibatches_pass_through_train_in_a_drawn_order() -> None:
    rows = make_rows(8, "train")
    first, second, third = batches(rows, 3, 3)
    # two of eight rows are left: a new order begins
    assert len({*first, *second}) == 6
    assert len(third) == 3
    assert batches(rows, 3, 3) == [first, second, third]
    assert batches(rows[::-1], 3, 3) == [first, second, third]
    assert batches(rows, 3, 3, seed=8) != [first, second, third]


def test_a_small_train_split_is_one_minibatch() -> None:
    assert [len(batch) for batch in batches(make_rows(5, "train"), 32, 3)] == [5, 5, 5]


def test_a_search_without_train_rows_is_refused() -> None:
    with pytest.raises(NothingSelectedError):
        minibatch(searched([]), 4, 0)


def test_rows_that_the_base_shows_teach_nothing() -> None:
    search = searched(make_rows(4, "train"), with_demos("r001"))
    assert {row.id for row in minibatch(search, 4, 0)} == {"r000", "r002", "r003"}
