"""How much a SIMBA run does, and on which rows: what the plan and the run share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.draws import shuffled

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.search import Search
    from dse_cli.optimizers.simba.simba import SimbaConfig


def teaching_rows(search: Search) -> list[Row]:
    """Return the train rows that can be sampled, in id order: not those that the base shows.

    Raises:
        NothingSelectedError: there are none.
    """
    shown = Candidate.of(search.base).shown
    rows = sorted((row for row in search.train if row.id not in shown), key=lambda row: row.id)
    if not rows:
        raise NothingSelectedError(
            "simba.v1 learns from train rows, and there are none",
            hint="give the dataset train rows",
        )
    return rows


def minibatch(search: Search, bsize: int, step: int) -> list[Row]:
    """Return the rows of a step: the next ``bsize`` of a drawn order of all.

    When fewer are left in the order, they are passed over and a new order is drawn, as published.
    """
    rows = teaching_rows(search)
    size = min(bsize, len(rows))
    epoch, place = divmod(step, len(rows) // size)
    order = shuffled(substream(search.seed, "simba", "batches", str(epoch)), rows)
    return order[place * size : (place + 1) * size]


def programs_per_step(config: SimbaConfig, buckets: int) -> int:
    """Return the most programs that a step makes: one a bucket, and one more than the samples."""
    return min(config.num_candidates + 1, buckets)


def step_cells(config: SimbaConfig, rows: int) -> int:
    """Return the most cells of a step with a minibatch of ``rows``."""
    return rows * (config.num_candidates + programs_per_step(config, rows))


def winner_places(steps: int, num_candidates: int) -> list[int]:
    """Return which winners are measured in full: spread over all, first (the base) and last in.

    Args:
        steps: winners besides the base.
        num_candidates: at most one more than this are measured.
    """
    places = (round(index * steps / num_candidates) for index in range(num_candidates + 1))
    return list(dict.fromkeys(places))
