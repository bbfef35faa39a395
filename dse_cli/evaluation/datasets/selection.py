"""Which rows of a split to work on: filters by tag and id, and a seeded sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import NothingSelectedError, UsageError
from dse_cli.evaluation.seeds import substream
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row


def sample(rows: Sequence[Row], n: int, seed: int, name: str) -> tuple[Row, ...]:
    """Return ``n`` rows drawn without replacement, in the order in which they stand in ``rows``.

    Which rows are drawn depends on the seed, the name and the set of ids, not on their order.

    Args:
        n: how many; all rows when there are no more than that.
        seed: the run's seed.
        name: the sub-stream, so that two samples of a run are independent.

    Raises:
        ValueError: ``n`` is negative.
    """
    if n < 0:
        raise ValueError(f"cannot draw {n} rows")
    if n >= len(rows):
        return tuple(rows)
    ids = sorted(row.id for row in rows)
    drawn = set(substream(seed, "sample", name).sample(ids, n))
    return tuple(row for row in rows if row.id in drawn)


def with_tags(rows: Iterable[Row], tags: Iterable[str]) -> tuple[Row, ...]:
    """Return the rows that have every one of ``tags``; all rows when there is no tag.

    Raises:
        NothingSelectedError: no row is left.
    """
    wanted = set(tags)
    rows = tuple(rows)
    found = tuple(row for row in rows if wanted <= set(row.tags))
    if wanted and not found:
        known = {tag for row in rows for tag in row.tags}
        missing = sorted(wanted - known)
        hint = did_you_mean(missing[0], known, otherwise="known tags") if missing else None
        raise NothingSelectedError(f"no row has the tags {', '.join(sorted(wanted))}", hint=hint)
    return found


def with_ids(rows: Iterable[Row], ids: Iterable[str]) -> tuple[Row, ...]:
    """Return the rows with these ids, in the order of ``rows``.

    Raises:
        UsageError: an id is not among the rows.
        NothingSelectedError: no id was given.
    """
    wanted = set(ids)
    if not wanted:
        raise NothingSelectedError("no row id was given")
    rows = tuple(rows)
    known = {row.id for row in rows}
    if missing := sorted(wanted - known):
        raise UsageError(
            f"no row has the id {', '.join(missing)}", hint=did_you_mean(missing[0], known)
        )
    return tuple(row for row in rows if row.id in wanted)
