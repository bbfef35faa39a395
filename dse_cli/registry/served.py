"""What became of predictions, per channel, counted from their receipts.

The receipts of one signature are one file of JSON lines that several processes append to. Nothing
else is written while serving, so these counts are all that the stop rule of a canary and its
promotion rest on.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.channel import CanaryStop, ChannelCounts

if TYPE_CHECKING:
    from pathlib import Path

_OTHER: Final = "other"
#: What the field ``result`` of a receipt may say that has a count of its own.
_COUNTED: Final = frozenset(ChannelCounts.model_fields) - {_OTHER}


@dataclass(frozen=True, slots=True)
class ServedCounts:
    """Predictions since a canary began.

    Attributes:
        canary, active: of the two channels.
        tripped: what the canary had when it went over its limit, None when it never did.
    """

    canary: ChannelCounts
    active: ChannelCounts
    tripped: ChannelCounts | None


def count_receipts(path: Path, salt: str, stop: CanaryStop | None = None) -> ServedCounts:
    """Count the receipts of both channels since the canary with this salt began.

    Args:
        path: ``.dse/predict/<name>.jsonl``; no file is no receipts.
        salt: a canary's own; receipts of the time before it do not carry it.
        stop: when the canary is over its limit; ``tripped`` is not judged without.
    """
    return ReceiptCounter(path, salt, stop).update()


@dataclass(slots=True)
class ReceiptCounter:
    """Counts the receipts of a file that grows; each update reads only what is new.

    The stop rule looks at every canary receipt in the order of the file. So a trip is final:
    answers that were under way when it happened and turn out well do not undo it.
    """

    path: Path
    salt: str
    stop: CanaryStop | None = None
    _offset: int = 0
    _tallies: dict[str, Counter[str]] = field(default_factory=dict)
    _tripped: ChannelCounts | None = None

    def update(self) -> ServedCounts:
        """Read what was appended since the last time and return all counts.

        A last line without its newline is being written by somebody and is read the next time; a
        line that is not a receipt (two machines wrote over a network drive, a disk was full) is
        passed over.
        """
        try:
            if self.path.stat().st_size < self._offset:
                self._offset, self._tallies = 0, {}  # the file was removed and begun anew
            with self.path.open("rb") as stream:
                stream.seek(self._offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    self._offset += len(line)
                    self._count(line)
        except FileNotFoundError:
            self._offset, self._tallies = 0, {}
        return ServedCounts(self._counts("canary"), self._counts("active"), self._tripped)

    def _count(self, line: bytes) -> None:
        receipt = _receipt(line)
        if receipt.get("canary") != self.salt:
            return
        channel, result = receipt.get("channel"), receipt.get("result")
        if channel not in {"canary", "active"} or not isinstance(result, str):
            return
        word = result if result in _COUNTED else _OTHER
        self._tallies.setdefault(channel, Counter())[word] += 1
        if channel == "canary" and self._tripped is None and self.stop is not None:
            counts = self._counts("canary")
            if is_over(counts, self.stop):
                self._tripped = counts

    def _counts(self, channel: str) -> ChannelCounts:
        return ChannelCounts(**dict(self._tallies.get(channel, Counter())))


def is_over(counts: ChannelCounts, stop: CanaryStop) -> bool:
    """Tell whether a canary has enough samples, and too many errors among them."""
    # In fractions: 29 errors of 100 are not more than 0.29, and floats say that they are.
    most = Fraction(repr(stop.max_error_rate)) * counts.samples
    return counts.samples >= stop.min_samples and counts.errors > most


def _receipt(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
