from __future__ import annotations

from collections import Counter
from typing import Any

from dse_cli.contracts.dataset import Row
from tests.optimizers.searches import KNOBS, instructions, run


def answered(name: str, queue: str) -> Row:
    return Row(name, {"ticket": name}, {"queue": queue}, "train")


TRAIN = [
    answered(f"{queue[0]}{index}", queue) for queue in ("billing", "other") for index in range(6)
]


def shown(k_max: int, *, train: list[Row] | None = None, seed: int = 7) -> list[str]:
    space: dict[str, Any] = {"few_shot": {"k_max": k_max}}
    found = run(
        KNOBS,
        space,
        lambda policy, row: float(bool(policy.demos)),
        train=TRAIN if train is None else train,
        seed=seed,
    )
    return found.shown


def test_each_answer_is_shown_equally_often() -> None:
    assert Counter(name[0] for name in shown(6)) == {"b": 3, "o": 3}
    assert len(set(shown(6))) == 6


def test_no_more_demos_are_drawn_than_there_are_rows() -> None:
    assert len(shown(64)) == len(TRAIN)


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows() -> None:
    assert shown(4) == shown(4, train=TRAIN[::-1])
    assert shown(4) != shown(4, seed=8)


def test_the_demo_set_is_crossed_with_the_instructions() -> None:
    space = {"few_shot": {"k_max": 2}, **instructions(a="Other.")}
    found = run(KNOBS, space, lambda policy, row: 0.5, train=TRAIN)
    tried = {
        (entry.candidate.main.instruction, len(entry.candidate.main.demos))
        for entry in found.entries
    }
    texts = ("Choose the queue.", "Other.")
    assert tried == {(text, count) for text in texts for count in (0, 2)}
    assert len(found.entries) == 4  # as authored in everything is the base, and tried once
    assert "knobs:instruction.text=a,few_shot.examples=2 demos" in found.origins
