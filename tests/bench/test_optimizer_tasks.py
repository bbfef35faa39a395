from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from bench.optimizers.banking import banking_task, confusable
from bench.optimizers.bbh import boolean_task, sports_task
from bench.optimizers.shipped import EXAMPLES, fitted, shipped_task
from bench.optimizers.task import Sizes, Task, TaskRow, balanced, cut, distinct, without

SIZES = Sizes(train=8, val=4, test=6)


def row(name: str, text: str = "", label: str = "a") -> TaskRow:
    return TaskRow(name, {"text": text or name}, {"label": label})


def label_of(one: TaskRow) -> str:
    return str(one.expected["label"])


def texts_of(task: Task) -> list[set[str]]:
    return [{one.text for one in rows} for rows in task.splits]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the shape of the real one: twelve intents, four of them about cards."""
    for name, count in (("train", 12), ("test", 6)):
        path = tmp_path / f"banking77/{name}.csv"
        path.parent.mkdir(exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "category"])
            for intent in range(12):
                words = "my card is" if intent < 4 else f"word{intent} is"
                for number in range(count):
                    text = "the same in both" if number == 0 else f"{words} {name} {number}"
                    writer.writerow([f"{text} {intent}", f"intent_{intent:02d}"])
    (tmp_path / "bbh").mkdir()
    for name, answers in (
        ("boolean_expressions", "False True"),
        ("sports_understanding", "no yes"),
    ):
        examples = [
            {
                "input": f'Is the following sentence plausible? "Player {number} ran."'
                if name == "sports_understanding"
                else f"not ( True ) or {number} is",
                "target": answers.split()[number % 2],
            }
            for number in range(30)
        ]
        text = json.dumps({"canary": "", "examples": examples})
        (tmp_path / f"bbh/{name}.json").write_text(text, encoding="utf-8")
    return tmp_path


def test_labels_take_turns_so_that_any_slice_is_balanced():
    rows = [row(f"a{i}", label="a") for i in range(6)] + [row(f"b{i}", label="b") for i in range(2)]
    order = balanced(rows, label_of, "x")
    assert [label_of(one) for one in order] == ["a", "b", "a", "b", "a", "a", "a", "a"]
    assert sorted(one.id for one in order) == sorted(one.id for one in rows)


def test_the_order_does_not_depend_on_the_order_of_the_file():
    rows = [row(f"r{i}", label="ab"[i % 2]) for i in range(10)]
    assert balanced(rows, label_of, "x") == balanced(rows[::-1], label_of, "x")
    assert balanced(rows, label_of, "x") != balanced(rows, label_of, "y")


def test_splits_share_no_row_and_have_their_sizes():
    splits = cut([row(f"r{i}") for i in range(20)], SIZES)
    assert [len(rows) for rows in splits] == [8, 4, 6]
    assert len({one.id for rows in splits for one in rows}) == 18


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="too few"):
        cut([row(f"r{i}") for i in range(10)], SIZES)


def test_case_and_spacing_do_not_make_two_rows_of_one():
    rows = [row("1", "Where is it?"), row("2", "where  is it?"), row("3", "Here.")]
    assert [one.id for one in distinct(rows)] == ["1", "3"]
    assert [one.id for one in without(rows, [row("9", "HERE.")])] == ["1", "2"]


def test_the_categories_that_share_their_words_are_chosen():
    texts = {
        "card_lost": ["my card is lost", "lost my card"],
        "card_late": ["my card is late", "late card again"],
        "weather": ["it rains today"],
        "music": ["play a song"],
    }
    assert set(confusable(texts, 2)) == {"card_lost", "card_late"}
    assert len(confusable(texts, 3)) == 3


def test_banking_trains_on_one_file_and_tests_on_the_other(data: Path):
    task = banking_task(data, SIZES)
    train, val, test = task.splits
    assert [len(rows) for rows in task.splits] == [8, 4, 6]
    assert {one.id[:2] for one in (*train, *val)} == {"bt"}
    assert {one.id[:2] for one in test} == {"bs"}
    intents = task.signature["output"]["intent"]["enum"]
    assert len(intents) == 10
    assert {f"intent_{i:02d}" for i in range(4)} <= set(intents)


def test_a_text_that_stands_in_both_files_does_not_test(data: Path):
    task = banking_task(data, Sizes(train=100, val=10, test=1000))
    train, val, test = texts_of(task)
    assert not test & (train | val)
    assert not any("same in both" in text for text in test)


@pytest.mark.parametrize("build", [boolean_task, sports_task])
def test_bbh_rows_are_cut_to_what_differs_and_balanced(build, data: Path):
    task = build(data, SIZES)
    for rows in task.splits:
        assert len(set(Counter(str(one.expected["answer"]) for one in rows).values())) == 1
    [first, *_] = task.splits.test
    [text] = first.input.values()
    assert not text.endswith(" is")
    assert "plausible" not in text
    assert not text.startswith('"')


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_shipped_example_uses_its_train_rows_only(name: str):
    task = shipped_task(name, SIZES)
    path = Path(__file__).parents[2] / f"datasets/{name}/examples.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    train = {one["id"] for one in rows if one["split"] == "train"}
    used = [one.id for split in task.splits for one in split]
    train_size, val_size, test_size = (len(split) for split in task.splits)
    assert (train_size, val_size) == (SIZES.train, SIZES.val)
    assert test_size == (SIZES.test if len(task.fields) == 1 else SIZES.test * 3 // 5)
    assert len(used) == len(set(used))
    assert set(used) <= train
    assert task.instructions
    assert set(task.fields) <= set(task.signature["output"])


def test_a_small_example_keeps_a_share_for_each_split():
    assert fitted(Sizes(60, 20, 50), 1000) == Sizes(60, 20, 50)
    train, val, test = fitted(Sizes(60, 20, 50), 75)
    assert (val, test) == (18, 30)
    assert len(cut([row(f"r{i}") for i in range(75)], Sizes(train, val, test)).train) == 27
