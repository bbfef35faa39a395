"""How long work on weights tells a person where it is."""

from __future__ import annotations

from typing import Protocol


class ProgressSink(Protocol):
    """Receives progress; implemented by the command line as a bar on stderr."""

    def advance(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes are there. May go back when a source is given up."""
        ...

    def note(self, text: str) -> None:
        """One short line about what is going on."""
        ...


class NoProgress:
    """Tells nobody."""

    def advance(self, done: int, total: int) -> None:
        return None

    def note(self, text: str) -> None:
        return None
