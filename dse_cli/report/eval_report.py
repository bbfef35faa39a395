"""What ``dse eval`` found, as data: every renderer of an evaluation reads this and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from dse_cli.contracts.errors import ExitCode

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell, EvalSummary
    from dse_cli.contracts.history import PairedTest
    from dse_cli.evaluation.views.confusion import Confusion
    from dse_cli.evaluation.views.outcomes import Outcomes
    from dse_cli.evaluation.views.paired_rows import PairedRows
    from dse_cli.evaluation.views.paired_slices import SlicePair
    from dse_cli.lm.meter import Tally

EvalOutcome = Literal["evaluated", "under_threshold", "regression", "infrastructure", "metric"]


@dataclass(frozen=True)
class Comparison:
    """A policy against another on the same rows and rollouts.

    Attributes:
        against: how the other one is called.
        test: the paired difference and its interval.
        rows: the rows won and lost.
        slices: both means for each tag.
        tokens, cost_nano_usd: used more (or less, when negative) than the other; None when either
            is unknown.
    """

    against: str
    test: PairedTest
    rows: PairedRows = field(repr=False)
    slices: tuple[SlicePair, ...] = field(repr=False)
    tokens: int | None
    cost_nano_usd: int | None


@dataclass(frozen=True)
class Measured:
    """One line of the table.

    Attributes:
        label: how to call the policy.
        compiled_id: of the policy.
        model: its main model, resolved.
        alias: the alias of ``--model`` that replaced its model, or None.
        comparison: with the baseline, or None.
    """

    # No repr of the large parts: `asyncio.run` makes one of its result when it puts back the
    # handler of Ctrl-C, and that would be milliseconds for a thousand rows.
    label: str
    compiled_id: str
    model: str | None
    alias: str | None
    summary: EvalSummary = field(repr=False)
    cells: tuple[Cell, ...] = field(repr=False)
    outcomes: Outcomes
    confusion: tuple[Confusion, ...] = field(repr=False)
    comparison: Comparison | None = None


@dataclass(frozen=True)
class EvalReport:
    """One ``dse eval``.

    Attributes:
        name: folder of the signature.
        split: whose rows were measured.
        rows: the selected rows, in id order.
        split_rows: how many rows the split has.
        filters: what selected them, as written on the command line, and what was left out as demos;
            nothing for the whole split.
        output_fields: of the signature, in its order.
        rollouts: samples a row.
        seed: of sampling and intervals.
        measured: the policy, or with ``--model`` one line an alias.
        baseline: what they are compared with, or None.
        charged, paid: model calls as the run counts them, and what really left the machine.
    """

    name: str
    split: str
    rows: tuple[Row, ...] = field(repr=False)
    split_rows: int
    filters: str
    output_fields: tuple[str, ...]
    rollouts: int
    seed: int
    measured: tuple[Measured, ...]
    baseline: Measured | None
    charged: Tally
    paid: Tally

    @property
    def summary(self) -> EvalSummary:
        """The numbers of the first line."""
        return self.measured[0].summary

    @property
    def comparison(self) -> Comparison | None:
        """The comparison of the first line."""
        return self.measured[0].comparison

    @property
    def all_measured(self) -> tuple[Measured, ...]:
        """Every line, the baseline last."""
        return self.measured if self.baseline is None else (*self.measured, self.baseline)

    @property
    def by_model(self) -> bool:
        """Whether ``--model`` was given."""
        return self.measured[0].alias is not None

    @property
    def groups(self) -> int | None:
        """How many clusters the rows are in; None when no row names one."""
        if all(row.group is None for row in self.rows):
            return None
        # A row without a group stands for itself.
        return len({(row.group is None, row.group or row.id) for row in self.rows})


class EvalMessage(NamedTuple):
    """Why an evaluation did not pass, in one line.

    Attributes:
        outcome: the word for it.
        text: one sentence with the numbers.
        label: of the line of the table that it is about.
    """

    outcome: EvalOutcome
    text: str
    label: str = ""

    def __str__(self) -> str:
        return f"{self.outcome.replace('_', ' ')}: {self.text}"


class EvalVerdict(NamedTuple):
    """Whether an evaluation passed.

    Attributes:
        outcome: the word for ``--json``; of the first message when there is one.
        exit_code: what the process ends with.
        messages: every reason why it did not pass.
    """

    outcome: EvalOutcome = "evaluated"
    exit_code: ExitCode = ExitCode.DONE
    messages: tuple[EvalMessage, ...] = ()

    def of(self, measured: Measured, report: EvalReport) -> EvalVerdict:
        """Return the part that is about one line; what is about none of them is about each."""
        others = {line.label for line in report.measured} - {measured.label}
        messages = tuple(message for message in self.messages if message.label not in others)
        if not messages:
            return EvalVerdict()
        return EvalVerdict(messages[0].outcome, self.exit_code, messages)
