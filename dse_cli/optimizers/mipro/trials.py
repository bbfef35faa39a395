"""Step 3 of MIPROv2: which instruction with which demo set, found with few evaluations.

Opsahl-Ong et al. 2024 (arXiv:2406.11695), as DSPy's MIPROv2 runs it: a surrogate picks a
combination, a random minibatch scores it, and every few trials the best mean so far is evaluated in
full and told to the surrogate. It works on the components of a candidate, whatever their number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dse_cli.evaluation.ledger import Bound
from dse_cli.evaluation.seeds import substream, substream_seed
from dse_cli.optimizers.mipro.space import ComponentChoices, compose, origin_of, sizes
from dse_cli.optimizers.mipro.tpe import Choice, Tpe

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.archive import Entry
    from dse_cli.optimizers.mipro.schedule import Schedule
    from dse_cli.optimizers.search import Search


class FullEvaluation(Protocol):
    """Evaluates a candidate on val in full, or gives it up on the way (a racing scheduler)."""

    async def __call__(self, search: Search, entry: Entry) -> None:
        """Fill the cells of ``entry``; it may write trials of its own.

        Raises:
            BudgetStopError: they do not fit.
        """
        ...


async def evaluate_in_full(search: Search, entry: Entry) -> None:
    """Evaluate on all of val: what is published."""
    await search.engine.evaluate(entry.candidate, search.val, label=f"full {entry.origin}")


@dataclass
class _Tried:
    """A candidate with its minibatch means, and the first choice that made it."""

    entry: Entry
    choice: Choice
    means: list[float]

    @property
    def mean(self) -> float:
        return math.fsum(self.means) / len(self.means)


class MiproSearch:
    """The trials.

    Args:
        search: its base is fully evaluated already.
        base: entry of the default program.
        choices: by component of the base.
        schedule: how many trials, on how many rows.
        stream: name of the optimizer, for its sub-streams.
        full: how the best mean is evaluated in full.
    """

    def __init__(
        self,
        search: Search,
        base: Entry,
        choices: Mapping[str, ComponentChoices],
        schedule: Schedule,
        *,
        stream: str,
        full: FullEvaluation = evaluate_in_full,
    ) -> None:
        self._search = search
        self._base = base
        self._choices = choices
        self._schedule = schedule
        self._stream = stream
        self._full = full
        self._tpe = Tpe(sizes(choices), substream_seed(search.seed, stream, "tpe"))
        self._tried: dict[str, _Tried] = {}
        self._done = {base.candidate.id}

    async def run(self) -> None:
        """Fill the archive.

        Raises:
            BudgetStopError: the next evaluation does not fit.
        """
        self._teach_default()
        for number in range(1, self._schedule.trials + 1):
            if self._is_last_chance():
                await self._evaluate_best_mean()
            trial, choice = self._tpe.ask()
            self._tpe.tell(trial, await self._try(number, choice))
            if self._schedule.is_full_due(number):
                await self._evaluate_best_mean()

    def _teach_default(self) -> None:
        """Give the surrogate the default program's result, which is all first choices.

        Not when the default program shows demos of its own: the first demo set shows none.
        """
        first = dict.fromkeys(sizes(self._choices), 0)
        mean = self._search.archive.mean(self._base)
        made = compose(self._base.candidate, self._choices, first)
        if made.id == self._base.candidate.id and mean is not None:
            self._tpe.add(first, mean)

    async def _try(self, number: int, choice: Choice) -> float | None:
        entry = self._entry(choice)
        if self._schedule.minibatch is None:
            return await self._evaluate(entry, choice)
        rows = self._minibatch(number)
        search = self._search
        await search.engine.evaluate(
            entry.candidate, rows, label=f"trial {number}/{self._schedule.trials} {entry.origin}"
        )
        mean = search.engine.matrix.mean(entry.candidate.id, rows)
        if mean is not None:
            tried = self._tried.setdefault(entry.candidate.id, _Tried(entry, choice, []))
            tried.means.append(mean)
        search.log.trial("minibatch", entry, rows=len(rows), mean=mean, choice=dict(choice))
        return mean

    async def _evaluate_best_mean(self) -> None:
        """Evaluate the best mean that has not been evaluated in full yet, and teach the result."""
        best = self._best_waiting()
        if best is None:
            return
        self._done.add(best.entry.candidate.id)
        mean = await self._evaluate(best.entry, best.choice)
        if mean is not None:
            self._tpe.add(best.choice, mean)

    def _best_waiting(self) -> _Tried | None:
        waiting = [tried for key, tried in self._tried.items() if key not in self._done]
        return max(waiting, key=lambda tried: tried.mean, default=None)

    def _is_last_chance(self) -> bool:
        """Tell whether one more trial may leave too little budget for a full evaluation.

        Minibatch means alone make no winner, so a budget that ends before the schedule does must
        not end on them. With a budget that covers the schedule this is never so.
        """
        engine, val, best = self._search.engine, self._search.val, self._best_waiting()
        if best is None or not engine.ledger.is_limited:
            return False
        candidate = best.entry.candidate
        bounds = {row.hash: engine.bound(candidate, row) for row in val}
        missing = [row for row in val if engine.matrix.get(candidate.id, row) is None]
        now = sum((bounds[row.hash] for row in missing), Bound())
        # A trial and then a full evaluation of what it tried, which may be new, is all of val.
        # What it will show is not known yet; it is taken to need as much as the best.
        later = sum(bounds.values(), Bound())
        return engine.ledger.fits(now) and not engine.ledger.fits(later)

    async def _evaluate(self, entry: Entry, choice: Choice) -> float | None:
        """Evaluate in full, write that down with its choice, and return the mean."""
        search, log = self._search, self._search.log
        before, logged = search.archive.best(), len(log.trials)
        await self._full(search, entry)
        # Of one that was given up on the way, the mean so far is what is known.
        mean = search.engine.matrix.mean(entry.candidate.id, search.val)
        is_best = search.archive.best() is entry and before is not entry
        if len(log.trials) == logged:
            log.trial(
                "full", entry, rows=len(search.val), mean=mean, note="best" if is_best else ""
            )
        for index in range(logged, len(log.trials)):
            log.trials[index] = log.trials[index].model_copy(update={"choice": dict(choice)})
        return mean

    def _entry(self, choice: Choice) -> Entry:
        candidate = compose(self._base.candidate, self._choices, choice)
        return self._search.archive.add(candidate, origin_of(choice), self._base.candidate.id)

    def _minibatch(self, number: int) -> Sequence[Row]:
        val, size = self._search.val, self._schedule.minibatch
        if size is None or size >= len(val):
            return val
        drawn = substream(self._search.seed, self._stream, "minibatch", str(number))
        return [val[index] for index in sorted(drawn.sample(range(len(val)), size))]
