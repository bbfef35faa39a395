from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.optimizer_table import order
from bench.optimizers.pooled import gain_of, overall, pooled, reward_of
from bench.optimizers.results import Result, Results
from bench.optimizers.table import table
from bench.optimizers.task import Splits, Task, TaskRow

ROWS = [f"r{number:02d}" for number in range(20)]


def rewards(right: int) -> dict[str, float]:
    return {name: float(number < right) for number, name in enumerate(ROWS)}


def result(seed: int = 1, right: int = 15, optimizer: str = "copro.v1", **changes) -> Result:
    made = Result(
        task="sums",
        optimizer=optimizer,
        seed=seed,
        inputs="sha256:1",
        config={},
        compiled_id="sha256:2",
        improved=True,
        stop="complete",
        val_baseline=0.5,
        val_winner=0.75,
        test=rewards(right),
        test_baseline=rewards(10),
        candidates=3,
        metric_calls=60,
        lm_calls=70,
        tokens=1000,
        paid_calls=65,
        compile_seconds=90.0,
        test_seconds=10.0,
    )
    return replace(made, **changes)


def a_task(name: str = "sums") -> Task:
    rows = tuple(TaskRow(row, {"text": row}, {"label": "a"}) for row in ROWS)
    return Task(name, "made up", {}, ("label",), Splits(rows, rows[:8], rows))


def lines(results: list[Result], **problems: int) -> list[str]:
    found = {("sums", name.replace("_v1", ".v1")): n for name, n in problems.items()}
    return list(table([a_task()], results, found, 80))


def test_a_result_is_found_again_only_for_its_inputs(tmp_path: Path):
    results = Results(tmp_path)
    results.put(result(seed=2))
    assert results.find("sums", "copro.v1", 2, "sha256:1") == result(seed=2)
    assert results.find("sums", "copro.v1", 2, "sha256:9") is None
    assert results.find("sums", "copro.v1", 1, "sha256:1") is None
    assert results.every() == [result(seed=2)]


def test_a_run_that_failed_is_counted_until_it_succeeds(tmp_path: Path):
    results = Results(tmp_path)
    results.put_problem("sums", "copro.v1", 1, "it broke")
    assert results.problems() == {("sums", "copro.v1"): 1}
    assert results.every() == []
    results.put(result())
    assert results.problems() == {}


def test_two_processes_do_not_make_the_same_run(tmp_path: Path):
    ours, theirs = Results(tmp_path), Results(tmp_path)
    with ours.claimed("sums", "copro.v1", 1) as is_ours:
        assert is_ours
        with theirs.claimed("sums", "copro.v1", 1) as is_theirs:
            assert not is_theirs
        with theirs.claimed("sums", "copro.v1", 2) as another:
            assert another
    with theirs.claimed("sums", "copro.v1", 1) as again:
        assert again


def test_a_row_counts_once_however_many_seeds_repeat_it():
    once = reward_of([rewards(10)])
    assert once == reward_of([rewards(10)] * 3)
    assert once.mean == 0.5
    assert once.low < 0.5 < once.high


def test_seeds_are_averaged_row_by_row_before_they_are_paired():
    gain = gain_of([rewards(14), rewards(12)], [rewards(10), rewards(10)])
    assert gain.mean == pytest.approx(0.15)
    assert gain == gain_of([rewards(12), rewards(14)], [rewards(10), rewards(10)])
    assert gain_of([rewards(10)], [rewards(10)]).mean == 0.0


def test_runs_on_other_rows_are_not_pooled():
    with pytest.raises(ValueError, match="different rows"):
        reward_of([rewards(10), {"other": 1.0}])
    with pytest.raises(ValueError, match="one optimizer on one task"):
        pooled([result(), result(optimizer="simba.v1")])


def test_the_seeds_of_one_optimizer_come_to_one_line():
    one = pooled([result(seed=2, right=11, improved=False), result(seed=1, right=15)])
    assert one.seeds == (1, 2)
    assert one.by_seed == (0.75, 0.55)
    assert one.kept == 1
    assert (one.metric_calls, one.lm_calls, one.paid_calls, one.minutes) == (60, 70, 65, 1.5)


def overview(text: list[str], name: str) -> list[str]:
    """Return the cells of an optimizer's first line: that of the table over all tasks."""
    found = next(line for line in text if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_a_gain_and_a_loss_are_marked_and_named():
    text = lines([result(right=19), result(optimizer="simba.v1", right=2)])
    assert overview(text, "copro.v1")[1] == "**+45.0** (1)"
    assert overview(text, "simba.v1")[1] == "*-40.0* (1)"
    assert any("1 gained and 1 lost" in line for line in text)
    assert "Lost: simba.v1 on sums." in text


def test_what_cannot_be_told_from_no_effect_is_not_marked():
    text = lines([result(right=11)])
    assert overview(text, "copro.v1")[1] == "+5.0 (1)"
    assert any("0 gained and 0 lost" in line for line in text)


def test_rows_of_all_tasks_are_pooled_only_where_there_are_all():
    both = [a_task(), a_task("more")]
    one = list(table(both, [result(right=15), result(task="more", optimizer="simba.v1")], {}, 80))
    assert overview(one, "copro.v1") == ["copro.v1", "**+25.0** (1)", "", ""]
    two = list(table(both, [result(right=15), result(task="more", right=11)], {}, 80))
    assert overview(two, "copro.v1")[3].startswith("**+15.0**")
    assert overall([[result(right=15)], [result(task="more", right=11)]]).mean == 0.15


def test_the_policy_as_written_is_a_line_and_no_optimizer():
    text = lines([result(optimizer="authored.v1", right=10), result()])
    assert not any(line.startswith("| authored.v1") for line in text)
    assert [line for line in text if line.startswith("| as written |")]


def test_the_settings_of_what_ran_are_named():
    text = lines([result()])
    [line] = [line for line in text if line.startswith("| copro.v1 | `")]
    assert line == "| copro.v1 | `breadth: 3`, `depth: 2` |  |"
    assert not any(line.startswith("| simba.v1 | `") for line in text)


def test_runs_without_a_result_are_named():
    assert "Without a result: simba.v1 (2)." in lines([result()], simba_v1=2)
    assert not any("Without a result" in line for line in lines([result()]))


def test_a_task_without_results_has_no_table():
    text = list(table([a_task(), a_task("unseen")], [result()], {}, 80))
    assert not any("unseen" in line for line in text)


def test_one_seed_of_everything_comes_before_the_next():
    runs = list(order([a_task("a"), a_task("b")], ["x", "y"], [1, 2]))
    assert [(task.name, optimizer, seed) for task, optimizer, seed in runs[:4]] == [
        ("a", "x", 1), ("a", "y", 1), ("b", "x", 1), ("b", "y", 1)
    ]  # fmt: skip
    assert {seed for _, _, seed in runs[4:]} == {2}
