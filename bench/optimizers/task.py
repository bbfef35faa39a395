"""A task of the comparison: a signature, its rows in three splits, and instructions by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from dse_cli.canonical import canonical_text
from dse_cli.evaluation.seeds import substream

_SPACES: Final = re.compile(r"\s+")
#: Of the draws that make the splits; no run's seed changes the rows.
SPLIT_SEED: Final = 20240607


@dataclass(frozen=True, slots=True)
class TaskRow:
    """One labelled input.

    Attributes:
        id: in the task.
        input: as the signature types it.
        expected: likewise.
        tags: as the source has them.
    """

    id: str
    input: dict[str, Any]
    expected: dict[str, Any]
    tags: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The input with case and spacing levelled: what must not stand in two splits."""
        return _SPACES.sub(" ", canonical_text(self.input)).strip().lower()


class Sizes(NamedTuple):
    """Rows of each split; ``test`` is what no compile sees."""

    train: int
    val: int
    test: int


class Splits(NamedTuple):
    """The rows of a task."""

    train: Sequence[TaskRow]
    val: Sequence[TaskRow]
    test: Sequence[TaskRow]


@dataclass(frozen=True)
class Task:
    """Something to optimise.

    Attributes:
        name: folder in the project; also the name on the command line.
        source: where the rows come from and how they were chosen, one sentence.
        signature: ``signature.yaml`` as a mapping.
        fields: output fields; the reward is the share of them that match exactly.
        splits: its rows.
        instructions: texts by id that a person wrote, for the optimizers that choose among texts.
    """

    name: str
    source: str
    signature: dict[str, Any]
    fields: tuple[str, ...]
    splits: Splits
    instructions: dict[str, str] = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The least reward of an answer that may become a demo: all fields right, or most."""
        return 1.0 if len(self.fields) == 1 else 0.8


def distinct(rows: Sequence[TaskRow]) -> list[TaskRow]:
    """Return the rows without later ones of the same text."""
    seen: dict[str, TaskRow] = {}
    for row in rows:
        seen.setdefault(row.text, row)
    return list(seen.values())


def balanced(rows: Sequence[TaskRow], label: Callable[[TaskRow], str], name: str) -> list[TaskRow]:
    """Return all rows, labels in turn, so that any slice is as balanced as the rows allow.

    Args:
        rows: distinct ones.
        label: what to balance by.
        name: of the draw that orders the rows of one label.
    """
    queues: dict[str, list[TaskRow]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        queues.setdefault(label(row), []).append(row)
    for key in sorted(queues):
        substream(SPLIT_SEED, "bench", name, key).shuffle(queues[key])
    order: list[TaskRow] = []
    longest = max((len(queue) for queue in queues.values()), default=0)
    for place in range(longest):
        order += [queues[key][place] for key in sorted(queues) if place < len(queues[key])]
    return order


def cut(rows: Sequence[TaskRow], sizes: Sizes) -> Splits:
    """Cut test, val and train off one order of rows; train gets what is left of its size.

    Raises:
        ValueError: there are not enough rows for val and test.
    """
    taken = sizes.test + sizes.val
    if len(rows) <= taken:
        raise ValueError(f"{len(rows)} rows are too few for {sizes.test} test and {sizes.val} val")
    return Splits(
        train=tuple(rows[taken : taken + sizes.train]),
        val=tuple(rows[sizes.test : taken]),
        test=tuple(rows[: sizes.test]),
    )


def without(rows: Sequence[TaskRow], others: Sequence[TaskRow]) -> list[TaskRow]:
    """Return the rows whose text none of the others has."""
    texts = {row.text for row in others}
    return [row for row in rows if row.text not in texts]
