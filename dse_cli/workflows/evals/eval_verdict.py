"""Whether an evaluation passed: outages over the limit, thresholds, and a regression.

Errors are looked at before numbers: with too many outages the mean of what is left says little.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import ExitCode, UsageError
from dse_cli.evaluation.gate.verdict import gate_line
from dse_cli.report.eval_report import EvalMessage, EvalVerdict
from dse_cli.report.plain import counted, one_line, percent, points

if TYPE_CHECKING:
    from dse_cli.report.eval_report import EvalReport, Measured

_POINTS: Final = 100
#: A threshold that is met exactly must not fail by the last of 12 decimals.
_TOLERANCE: Final = 1e-12
_LONGEST: Final = 400  #: characters of what one row says


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What an evaluation has to reach; each line of the table for itself.

    Attributes:
        fail_under: smallest mean reward, 0 to 1; None asks for nothing.
        max_regression: how much worse than the baseline the mean may be, 0 to 1.
        max_error_rate: largest share of cells without an answer, 0 to 1.
    """

    fail_under: float | None = None
    max_regression: float | None = None
    max_error_rate: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what is no number: nothing is below NaN, and the check would always pass."""
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and not 0 <= value <= 1:
                name = item.name.replace("_", "-")
                raise UsageError(
                    f"--{name} must be a number from 0 to 1, not {value:g}",
                    hint=f"{value / 100:g} is {value:g} points" if 1 < value <= _POINTS else None,
                )


def eval_verdict(report: EvalReport, thresholds: Thresholds) -> EvalVerdict:
    """Return whether an evaluation passed, with every reason why it did not."""
    outages = tuple(_outages(report, thresholds))
    if outages and all(message.outcome == "metric" for message in outages):
        return EvalVerdict("metric", ExitCode.USAGE, outages)
    if outages:
        return EvalVerdict("infrastructure", ExitCode.INFRASTRUCTURE, outages)
    failed = (*_under(report, thresholds), *_regressions(report, thresholds))
    if failed:
        return EvalVerdict(failed[0].outcome, ExitCode.QUALITY, failed)
    return EvalVerdict()


def over_limit(measured: Measured, max_error_rate: float) -> bool:
    """Tell whether more cells than that share have no answer."""
    outcomes = measured.outcomes
    return outcomes.without_answer > max_error_rate * outcomes.cells + _TOLERANCE


def _outages(report: EvalReport, thresholds: Thresholds) -> Iterator[EvalMessage]:
    asked = thresholds.fail_under is not None or thresholds.max_regression is not None
    for measured in report.all_measured:
        outcomes = measured.outcomes
        if over_limit(measured, thresholds.max_error_rate):
            rule = f"the limit is {percent(thresholds.max_error_rate)}"
        elif asked and measured.summary.mean is None:
            rule = "and none has one"
        else:
            continue
        kinds = ", ".join(f"{kind} {count}" for kind, count in outcomes.outages.items())
        first = next(cell for cell in measured.cells if cell.is_outage)
        message = first.error.message if first.error else ""
        of = f"{outcomes.without_answer} of {counted(outcomes.cells, 'cell')} of {measured.label}"
        where = f"on {first.example}: {one_line(message, _LONGEST)}"
        if list(outcomes.outages) == ["metric"]:
            yield EvalMessage(
                "metric",
                f"{of} cannot be scored, {rule}; {where}; trying again does not help: mend the "
                "metric or the judge, answers that came are in the cache",
                measured.label,
            )
            continue
        yield EvalMessage(
            "infrastructure", f"{of} have no answer ({kinds}), {rule}; {where}", measured.label
        )


def _under(report: EvalReport, thresholds: Thresholds) -> Iterator[EvalMessage]:
    least = thresholds.fail_under
    if least is None:
        return
    for measured in report.measured:
        summary = measured.summary
        if summary.mean is None or summary.mean >= least - _TOLERANCE:
            continue
        interval = summary.interval
        shown = "" if interval is None else (
            f", 95 % CI {points(interval.low)} to {points(interval.high)}"
        )  # fmt: skip
        yield EvalMessage(
            "under_threshold",
            f"the mean of {measured.label} is {points(summary.mean)} points "
            f"(n = {summary.n}{shown}), below the {points(least)} that --fail-under asks for",
            measured.label,
        )


def _regressions(report: EvalReport, thresholds: Thresholds) -> Iterator[EvalMessage]:
    most = thresholds.max_regression
    if most is None:
        return
    for measured in report.measured:
        comparison = measured.comparison
        if comparison is None or comparison.test.n == 0:
            # A regression that cannot be measured is not one that was ruled out.
            yield EvalMessage(
                "regression",
                f"{measured.label} has no row that both policies answered",
                measured.label,
            )
        elif comparison.test.delta < -most - _TOLERANCE:
            line = gate_line(comparison.test, None)
            label = f"{measured.label}: " if len(report.measured) > 1 else ""
            yield EvalMessage(
                "regression",
                f"{label}{line} is worse than the allowed {points(most)}",
                measured.label,
            )
