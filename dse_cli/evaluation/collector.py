"""Fewer passes of the garbage collector while a batch runs, is summed up, or a dataset is read.

A run keeps every cell and every call, so its objects only grow in number, and next to none of them
is garbage in a cycle. With Python's defaults the collector walks over them again after each 700 new
ones, and a good third of the time of a fast batch goes there.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

#: New containers between two passes over the young ones; 0 would switch the collector off.
_THRESHOLDS: Final = (20_000, 10, 10)


@dataclass(slots=True)
class _Open:
    """Uses that are open now, and the thresholds to go back to after the last of them."""

    count: int = 0
    before: tuple[int, int, int] = (0, 0, 0)


_open = _Open()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect more rarely inside; uses that overlap restore the old thresholds at the last end.

    A collector that is switched off, or is rarer already, is left as it is.
    """
    if not _open.count:
        _open.before = gc.get_threshold()
        if 0 < _open.before[0] < _THRESHOLDS[0]:
            gc.set_threshold(*_THRESHOLDS)
    _open.count += 1
    try:
        yield
    finally:
        _open.count -= 1
        if not _open.count:
            gc.set_threshold(*_open.before)
