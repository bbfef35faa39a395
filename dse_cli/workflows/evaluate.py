"""``dse eval``: measure one policy on one split, and compare it with another on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import NothingSelectedError
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.selection import sample, with_ids, with_tags
from dse_cli.evaluation.statistics import paired_test
from dse_cli.evaluation.summary import summarize
from dse_cli.workflows.policies import NamedPolicy
from dse_cli.workflows.session import RunOptions, Session, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row, Split
    from dse_cli.contracts.evaluation import Cell, EvalSummary
    from dse_cli.contracts.history import PairedTest
    from dse_cli.workflows.inputs import JobInputs


@dataclass(frozen=True)
class Selection:
    """Which rows to measure on.

    Attributes:
        split: the split; the holdout is for gates, and asking for it here is refused.
        tags: only rows with all of these tags.
        ids: only these rows.
        sample: draw this many with the job's seed.
        limit: the first so many, in id order.
    """

    split: Split = "val"
    tags: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    sample: int | None = None
    limit: int | None = None


@dataclass(frozen=True)
class EvalReport:
    """What was measured.

    Attributes:
        policy: the policy, with the name the user gave it.
        summary: its numbers.
        cells: its cells, in row order.
        against: the policy it was compared with, or None.
        against_summary: likewise.
        comparison: paired differences, or None.
        paid_calls: model calls that really left the machine.
    """

    policy: NamedPolicy
    # No repr of the large parts: `asyncio.run` makes one of its result when it puts back the
    # handler of Ctrl-C, and that would be milliseconds for a thousand rows.
    summary: EvalSummary = field(repr=False)
    cells: list[Cell] = field(repr=False)
    against: NamedPolicy | None
    against_summary: EvalSummary | None = field(repr=False)
    comparison: PairedTest | None
    paid_calls: int


def select_rows(inputs: JobInputs, selection: Selection) -> tuple[Row, ...]:
    """Return the selected rows, in id order.

    Raises:
        NothingSelectedError: none is left.
        UsageError: an id that the dataset does not have.
    """
    rows: Sequence[Row] = inputs.rows(selection.split)
    if selection.ids:
        rows = with_ids(rows, selection.ids)
    if selection.tags:
        rows = with_tags(rows, selection.tags)
    if selection.sample is not None:
        rows = sample(rows, selection.sample, inputs.job.seed, "eval")
    if selection.limit is not None:
        rows = rows[: selection.limit]
    if not rows:
        raise NothingSelectedError(
            f"no row of {selection.split} is selected", hint="loosen --tag, --id or --limit"
        )
    return tuple(rows)


async def evaluate_policy(
    inputs: JobInputs,
    policy: NamedPolicy,
    options: RunOptions,
    *,
    selection: Selection,
    repeat: int = 1,
    against: NamedPolicy | None = None,
) -> EvalReport:
    """Measure a policy, and the one it is compared with, on the same rows and rollouts."""
    rows = select_rows(inputs, selection)
    async with open_session(
        inputs.catalog, inputs.reward, options, seed=inputs.job.seed
    ) as session:
        cells = await _measure(session, policy, rows, repeat)
        others = None if against is None else await _measure(session, against, rows, repeat)
    summary = summary_of(inputs, cells, rows, selection.split)
    other = None if others is None else summary_of(inputs, others, rows, selection.split)
    comparison = None
    if other is not None:
        comparison = paired_test(
            summary.rows,
            other.rows,
            groups={row.id: row.group for row in rows},
            seed=inputs.job.seed,
            level=inputs.project.spec.gate.alpha,
        )
    paid = session.gateway.meter.paid.calls
    return EvalReport(policy, summary, cells, against, other, comparison, paid)


def summary_of(
    inputs: JobInputs, cells: list[Cell], rows: tuple[Row, ...], split: Split
) -> EvalSummary:
    """Summarise cells of one candidate on ``rows``."""
    return summarize(
        cells,
        split=split,
        dataset_revision=inputs.dataset.revision,
        split_hash=rows_hash(rows),
        reward_hash=inputs.reward.hash,
        rows={row.id: row for row in rows},
        seed=inputs.job.seed,
    )


async def _measure(
    session: Session, policy: NamedPolicy, rows: tuple[Row, ...], repeat: int
) -> list[Cell]:
    candidate = Candidate.of(policy.policy)
    return await session.engine.evaluate(candidate, rows, rollouts=repeat, label=policy.label)
