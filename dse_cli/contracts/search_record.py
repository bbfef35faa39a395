"""What a search did besides evaluating candidates, as the receipt keeps it."""

from __future__ import annotations

from typing import Any, Literal

from dse_cli.contracts.base import Contract, Items, Sha256
from dse_cli.contracts.meta import MetaName


class ProposalRecord(Contract):
    """One question to the proposer, and what became of the answer.

    Attributes:
        path: logical path of the call in the transcript.
        meta: which meta-signature was asked.
        outcome: ``used``; ``duplicate`` of a text that the search has; ``junk``, an answer that
            does not decode, is empty or echoes the question's own prompt; ``outage`` when no
            answer came; ``no_budget`` when it was not asked, because the proposer's share of the
            budget would not cover it.
        note: what was asked for, in a few words (``tip creative, demo set 3``).
        text: what was proposed, as used; None when nothing was.
        candidate: candidate that was made of it, when one was.
    """

    path: str
    meta: MetaName
    outcome: Literal["used", "duplicate", "junk", "outage", "no_budget"]
    note: str = ""
    text: str | None = None
    candidate: Sha256 | None = None


class ShownDemo(Contract):
    """A demo by its provenance: ``labelled`` or ``bootstrapped``, and the id of its train row."""

    source: Literal["labelled", "bootstrapped"]
    id: str


class DemoSetRecord(Contract):
    """A demo set that was built, with its provenance.

    Attributes:
        index: of the set, from 0.
        recipe: how it was built (``zero-shot``, ``labelled``, ``bootstrap``, ``shuffled 2``).
        demos: in the order shown.
        tried: rollouts that were run for it.
        passed: of those, how many reached the threshold.
    """

    index: int
    recipe: str
    demos: Items[ShownDemo]
    tried: int = 0
    passed: int = 0


class TrialRecord(Contract):
    """One evaluation that an optimizer decided on.

    Attributes:
        number: from 0, in the order of the search.
        kind: ``base``, ``full``, ``minibatch``, ``rung``, or the optimizer's own word.
        candidate: which candidate.
        rows: how many rows were looked at.
        mean: mean reward over them, None when no row has a score.
        choice: what was chosen (``{"main.instruction": 2, "main.demos": 0}``).
        note: what followed from it (``dropped``, ``best``), in a few words.
    """

    number: int
    kind: str
    candidate: Sha256
    rows: int
    mean: float | None
    choice: dict[str, Any] | None = None
    note: str = ""
