"""What a search did, written down as it happens; it ends in the receipt."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.search_record import DemoSetRecord, ProposalRecord, TrialRecord

if TYPE_CHECKING:
    from dse_cli.optimizers.archive import Entry

#: Means are written with so many decimals, as everywhere in a receipt.
DECIMALS = 12


@dataclass
class SearchLog:
    """Proposals, demo sets and trials, each in the order in which it was made.

    Attributes:
        served: models that answered questions besides cells, by meta-signature or role.
    """

    proposals: list[ProposalRecord] = field(default_factory=list)
    demo_sets: list[DemoSetRecord] = field(default_factory=list)
    trials: list[TrialRecord] = field(default_factory=list)
    served: dict[str, set[str]] = field(default_factory=dict)

    def trial(
        self,
        kind: str,
        entry: Entry,
        *,
        rows: int,
        mean: float | None,
        choice: dict[str, Any] | None = None,
        note: str = "",
    ) -> TrialRecord:
        """Add an evaluation that was decided on, and return its record."""
        said: dict[str, Any] = {}
        if choice is not None:
            said["choice"] = choice
        if note:
            said["note"] = note
        record = TrialRecord(
            number=len(self.trials),
            kind=kind,
            candidate=entry.candidate.id,
            rows=rows,
            mean=None if mean is None else round(mean, DECIMALS),
            **said,
        )
        self.trials.append(record)
        return record
