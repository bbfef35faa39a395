"""What a source of weights is. Nothing a source delivers is believed before it is hashed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.progress import ProgressSink


class SourceError(Exception):
    """A source cannot deliver; the next one is tried. Its text says why, for a person."""


class Source(Protocol):
    """One place that may have the bytes of a model."""

    @property
    def name(self) -> str:
        """How the place is called in messages."""
        ...

    @property
    def partial(self) -> str:
        """Name of the file in ``work`` that it writes to."""
        ...

    def fetch(self, model: EmbeddedModel, work: Path, progress: ProgressSink) -> Path:
        """Bring the bytes into the folder ``work`` and return the file, unverified.

        What an earlier, interrupted call left in ``work`` is used.

        Raises:
            SourceError: not reachable, or what it offers cannot be the model.
        """
        ...
