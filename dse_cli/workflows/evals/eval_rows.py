"""Which rows an evaluation measures: the filters of the command line, in a fixed order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import NothingSelectedError, UsageError
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.datasets.selection import sample, with_ids, with_tags
from dse_cli.project.suggest import did_you_mean
from dse_cli.workflows.evals.last_eval import failed_rows

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row, Split
    from dse_cli.runtime.policy import Policy
    from dse_cli.workflows.inputs import JobInputs

#: Ids that are named of those that were asked for.
_MOST_NAMED: Final = 3


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

    @property
    def written(self) -> str:
        """The filters as they are written on the command line; empty for the whole split."""
        words = [
            *(f"--id {row}" for row in self.ids[:_MOST_NAMED]),
            *([f"and {len(self.ids) - _MOST_NAMED} more"] if len(self.ids) > _MOST_NAMED else []),
            *(["--failed"] if self.failed else []),
            *(f"--tag {tag}" for tag in self.tags),
            *([] if self.sample is None else [f"--sample {self.sample}"]),
            *([] if self.limit is None else [f"--limit {self.limit}"]),
        ]
        return " ".join(words)


def select_rows(
    inputs: JobInputs, selection: Selection, *, seed: int | None = None
) -> tuple[Row, ...]:
    """Return the selected rows, in id order.

    Args:
        seed: of the sample; the job's when None.

    Raises:
        NothingSelectedError: none is left, or an id is of another split.
        UsageError: an id or a tag that the dataset does not have at all.
    """
    rows: Sequence[Row] = inputs.rows(selection.split)
    _check_names(inputs, selection)
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


def scorable_rows(
    rows: Sequence[Row], policies: Iterable[Policy]
) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Return the rows that may score all of these policies, and the ids of those that may not.

    A row never scores a policy that shows it as a demo, or may show it where demos are selected.

    Raises:
        NothingSelectedError: none is left.
    """
    shown = frozenset[str]().union(*(Candidate.of(policy).shown for policy in policies))
    kept = tuple(row for row in rows if row.id not in shown)
    left_out = tuple(row.id for row in rows if row.id in shown)
    if not kept:
        raise NothingSelectedError(
            "every selected row is a demo of a policy to measure, and a row scores no policy that "
            f"shows it: {_named(left_out)}",
            hint="measure on rows that the policy does not show, for example --split val",
        )
    return kept, left_out


def without_words(left_out: Sequence[str]) -> str:
    """Return what a report says of rows that were left out as demos; empty for none."""
    return f"without {len(left_out)} shown as demos: {_named(left_out)}" if left_out else ""


def _named(ids: Sequence[str]) -> str:
    more = len(ids) - _MOST_NAMED
    return ", ".join(ids[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _check_names(inputs: JobInputs, selection: Selection) -> None:
    """Tell a name that nothing has from one that stands in another split."""
    every = inputs.dataset.rows
    split_of = {row.id: row.split for row in every}
    if unknown := sorted(set(selection.ids) - set(split_of)):
        here = [row.id for row in every if row.split == selection.split]
        raise UsageError(
            f"no row has the id {', '.join(unknown)}", hint=did_you_mean(unknown[0], here)
        )
    for row_id in sorted(set(selection.ids)):
        split = split_of[row_id]
        if split != selection.split:
            raise NothingSelectedError(
                f"{row_id} is in {split}, not in {selection.split}",
                hint="the holdout is opened by 'dse promote' only, and each look is counted"
                if split == "holdout"
                else f"add --split {split}",
            )
    tags = {tag for row in every for tag in row.tags}
    if unknown := sorted(set(selection.tags) - tags):
        hint = did_you_mean(unknown[0], tags, otherwise="known tags") or "no row has a tag"
        raise UsageError(f"no row has the tag {', '.join(unknown)}", hint=hint)
