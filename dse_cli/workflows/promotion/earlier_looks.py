"""What earlier looks have seen of a holdout, said before the next one is spent.

Looks are counted by the hash of the holdout rows, so a row that is edited or added begins a new
count. That is said, and not forbidden: all of it follows from the history, which names the rows of
each look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.dataset import rows_hash
from dse_cli.registry.history import read_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.history import HistoryRecord
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy


def earlier_looks(
    inputs: JobInputs, candidate: NamedPolicy, baseline: NamedPolicy
) -> tuple[str, ...]:
    """Return a sentence for each thing to know before a look at the holdout; often none.

    Raises:
        AlteredError: the history does not verify.
    """
    holdout = inputs.dataset.split("holdout")
    records = read_records(inputs.store)
    notes = (_uncounted(records, holdout), _again(records, holdout, candidate, baseline))
    return tuple(note for note in notes if note)


def _uncounted(records: Sequence[HistoryRecord], holdout: Sequence[Row]) -> str:
    """Say which rows were seen while the holdout was another one."""
    here, now = {row.id for row in holdout}, rows_hash(tuple(holdout))
    seen = [
        rows
        for record in records
        if record.gate is not None
        and record.gate.split_hash != now
        and (rows := here & record.gate.candidate.rows.keys())
    ]
    if not seen:
        return ""
    one = len(seen) == 1
    return (
        f"{len(set().union(*seen))} of {len(here)} holdout rows were seen in {len(seen)} earlier "
        f"look{'' if one else 's'} under {'another revision' if one else 'other revisions'}, "
        f"which {'is' if one else 'are'} not counted"
    )


def _again(
    records: Sequence[HistoryRecord],
    holdout: Sequence[Row],
    candidate: NamedPolicy,
    baseline: NamedPolicy,
) -> str:
    """Say that these two were measured on these rows already."""
    now = rows_hash(tuple(holdout))
    for record in reversed(records):
        gate, target, source = record.gate, record.target, record.source
        if gate is None or target is None or source is None or gate.split_hash != now:
            continue
        pair = {target.compiled_id, source.compiled_id}
        if pair == {candidate.policy.id, baseline.policy.id}:
            return (
                f"record {record.sequence} measured these two policies on these rows already: "
                f"{gate.verdict}; a look more makes the next levels smaller"
            )
    return ""
