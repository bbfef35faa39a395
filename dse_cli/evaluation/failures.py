"""Why a cell is not perfect, in a bounded form: what people read and optimizers reflect on.

An error of the prediction comes first, then what each signal found, in the order of the reward.
Whatever is shortened says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.evaluation import OUTAGES, Failure
from dse_cli.evaluation.json_values import MISSING, json_text, shortened, value_at

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.contracts.evaluation import SignalScore
    from dse_cli.evaluation.rewards.reward import ScoredOutput

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


def failures_of(scored: ScoredOutput, output: Any, row: Row) -> tuple[Failure, ...]:
    """Return why a cell is not perfect; nothing for a perfect cell.

    At most :data:`MAX_FAILURES` records. When there are more reasons, the last record counts the
    ones that are left out.

    Args:
        scored: what the reward said; of an outage, its error alone.
        output: what was scored.
        row: its example.
    """
    found = list(_reasons(scored, output, row))
    if len(found) <= MAX_FAILURES:
        return tuple(found)
    kept = found[: MAX_FAILURES - 1]
    left_out = found[MAX_FAILURES - 1 :]
    names = ", ".join(failure.source for failure in left_out)
    message = shortened(f"{len(left_out)} more signals are below 1: {names}", MAX_MESSAGE)
    return (*kept, Failure("mismatch", MORE, message))


def field_of(signal_id: str) -> str | None:
    """Return the output field in a signal's id (``metric:field``, ``metric:field#2``), or None."""
    metric, _, rest = signal_id.partition(":")
    if metric in _NAMED_OTHERWISE:
        return None
    field, mark, number = rest.rpartition("#")
    return (field if mark and number.isdigit() else rest) or None


def _reasons(scored: ScoredOutput, output: Any, row: Row) -> Iterator[Failure]:
    error = scored.error
    if error is not None:
        message = shortened(error.message, MAX_MESSAGE)
        yield Failure(error.kind, ANSWER, message, field=error.field)
    if error is not None and (error.kind in OUTAGES or error.kind == "decode"):
        # Every signal of an answer that did not decode says the same once more.
        return
    for signal in scored.signals:
        if signal.score < 1:
            yield _mismatch(signal, output, row)
    if scored.penalty_feedback and error is None and scored.reward is not None:
        message = f"{scored.penalty_feedback}; this makes the reward {scored.reward:.3g}"
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
    return shortened(json_text(value), MAX_VALUE)
