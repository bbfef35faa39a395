"""Why a cell is not perfect, in a bounded form: what people read and optimizers reflect on.

An error of the prediction comes first, then what each signal found, in the order of the reward.
Whatever is shortened says so.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, Protocol

from dse_cli.contracts.evaluation import OUTAGES, CellError, Failure
from dse_cli.evaluation.json_values import MISSING, shortened, value_at

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import Cell, SignalScore

MAX_FAILURES: Final = 8
MAX_MESSAGE: Final = 400  #: characters
MAX_VALUE: Final = 200  #: characters of ``got`` and of ``expected``
#: ``source`` of an error of the prediction itself.
ANSWER: Final = "answer"
#: ``source`` of the record that stands for those that did not fit.
MORE: Final = "more"
#: ``source`` of what a penalty took away.
REWARD: Final = "reward"
_JUDGES: Final = ("judge", "pairwise_judge")
#: Signals whose id goes on with the name of a function, or of the judge, and not with a field.
_NAMED_OTHERWISE: Final = ("python", *_JUDGES)


class CellLike(Protocol):
    """What of a cell decides its failures."""

    @property
    def reward(self) -> float | None: ...
    @property
    def signals(self) -> Sequence[SignalScore]: ...
    @property
    def output(self) -> Any: ...
    @property
    def error(self) -> CellError | None: ...
    @property
    def penalty_feedback(self) -> str: ...


def failures_of(cell: CellLike, row: Row) -> tuple[Failure, ...]:
    """Return why a cell is not perfect; nothing for a perfect cell.

    At most :data:`MAX_FAILURES` records. When there are more reasons, the last record counts the
    ones that are left out.

    Args:
        cell: scored, or without an answer.
        row: its example.
    """
    found = list(_reasons(cell, row))
    if len(found) <= MAX_FAILURES:
        return tuple(found)
    kept = found[: MAX_FAILURES - 1]
    left_out = found[MAX_FAILURES - 1 :]
    names = ", ".join(failure.source for failure in left_out)
    message = shortened(f"{len(left_out)} more signals are below 1: {names}", MAX_MESSAGE)
    return (*kept, Failure("mismatch", MORE, message))


def explained(cell: Cell, row: Row) -> Cell:
    """Return the cell with its failures."""
    failures = failures_of(cell, row)
    return replace(cell, failures=failures) if failures else cell


def field_of(signal_id: str) -> str | None:
    """Return the output field in a signal's id (``metric:field``, ``metric:field#2``), or None."""
    metric, _, rest = signal_id.partition(":")
    if metric in _NAMED_OTHERWISE:
        return None
    field, mark, number = rest.rpartition("#")
    return (field if mark and number.isdigit() else rest) or None


def _reasons(cell: CellLike, row: Row) -> Iterator[Failure]:
    error = cell.error
    if error is not None:
        message = shortened(error.message, MAX_MESSAGE)
        yield Failure(error.kind, ANSWER, message, field=error.field)
    if error is not None and (error.kind in OUTAGES or error.kind == "decode"):
        # Every signal of an answer that did not decode says the same once more.
        return
    imperfect = [signal for signal in cell.signals if signal.score < 1]
    for signal in imperfect:
        yield _mismatch(signal, cell.output, row)
    if cell.penalty_feedback and error is None and cell.reward is not None:
        message = f"{cell.penalty_feedback}; this makes the reward {cell.reward:.3g}"
        yield Failure("mismatch", REWARD, shortened(message, MAX_MESSAGE))


def _mismatch(signal: SignalScore, output: Any, row: Row) -> Failure:
    field = field_of(signal.id)
    message = signal.feedback or f"scored {signal.score:.3g} of 1"
    return Failure(
        "judge" if is_judge(signal.id) else "mismatch",
        signal.id,
        shortened(message, MAX_MESSAGE),
        field=field,
        got=_text(output if field is None else value_at(output, field)),
        expected=_text(row.expected if field is None else value_at(row.expected, field)),
    )


def is_judge(signal_id: str) -> bool:
    """Whether a signal is a model's opinion (``judge``, ``pairwise_judge`` with any suffix)."""
    return signal_id.startswith(_JUDGES)


def _text(value: Any) -> str | None:
    if value is MISSING:
        return None
    return shortened(json.dumps(value, ensure_ascii=False, sort_keys=True), MAX_VALUE)
