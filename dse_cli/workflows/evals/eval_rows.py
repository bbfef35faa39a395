"""Which rows an evaluation measures: the filters of the command line, in a fixed order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.evaluation.datasets.selection import sample, with_ids, with_tags
from dse_cli.workflows.evals.last_eval import failed_rows

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row, Split
    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class Selection:
    """Which rows to measure on. Filters apply from top to bottom.

    Attributes:
        split: the split; the holdout is for gates, and asking for it here is refused.
        failed: only rows that were not perfect in the last evaluation.
        ids: only these rows.
        tags: only rows with all of these tags.
        sample: draw this many with the seed.
        limit: the first so many, in id order.
    """

    split: Split = "val"
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    sample: int | None = None
    limit: int | None = None
    failed: bool = False


def select_rows(
    inputs: JobInputs, selection: Selection, *, seed: int | None = None
) -> tuple[Row, ...]:
    """Return the selected rows, in id order.

    Args:
        seed: of the sample; the job's when None.

    Raises:
        NothingSelectedError: none is left.
        UsageError: an id that the dataset does not have.
    """
    rows: Sequence[Row] = inputs.rows(selection.split)
    if selection.ids:
        rows = with_ids(rows, selection.ids)
    if selection.failed:
        failed = failed_rows(inputs, selection.split)
        rows = tuple(row for row in rows if row.id in failed)
        if not rows:
            raise NothingSelectedError(
                f"no row that failed in the last evaluation is among the rows of {selection.split}",
                hint="run it without --failed",
            )
    if selection.tags:
        rows = with_tags(rows, selection.tags)
    if selection.sample is not None:
        drawn_with = inputs.job.seed if seed is None else seed
        rows = sample(rows, selection.sample, drawn_with, "eval")
    if selection.limit is not None:
        rows = rows[: selection.limit]
    if not rows:
        raise NothingSelectedError(
            f"no row of {selection.split} is selected", hint="loosen --tag, --id or --limit"
        )
    return tuple(rows)
