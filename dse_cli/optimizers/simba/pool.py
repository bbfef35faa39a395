"""The programs of a SIMBA run, and how one of them is drawn."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.optimizers.draws import softmax_index

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry


@dataclass(frozen=True, slots=True)
class Member:
    """A program with its mean reward on the minibatch of the step that made it.

    Attributes:
        mean: None for the base, which no step makes, and for a program without a scored row.
    """

    entry: Entry
    mean: float | None = None

    @property
    def score(self) -> float:
        """The mean as draws see it; 0 where there is none, as published."""
        return 0.0 if self.mean is None else self.mean

    def may_score(self, row: Row) -> bool:
        """Tell whether a row may score it: not a row that it shows as a demo."""
        return row.id not in self.entry.candidate.shown


class Pool:
    """Every program so far, the base first. The same policy made twice counts twice."""

    def __init__(self, base: Entry) -> None:
        self.base = Member(base)
        self._members = [self.base]

    def add(self, members: Sequence[Member]) -> None:
        """Register the programs of a step."""
        self._members += members

    def top(self, count: int) -> list[Member]:
        """Return the ``count`` best programs, the earlier of equals first, the base among them."""
        best = sorted(self._members, key=lambda member: -member.score)[:count]
        if all(member is not self.base for member in best):
            best[-1] = self.base
        return best


def draw_member(draw: random.Random, members: Sequence[Member], temperature: float) -> Member:
    """Return a program, drawn with weight exp(score / temperature)."""
    return members[softmax_index(draw, [member.score for member in members], temperature)]
