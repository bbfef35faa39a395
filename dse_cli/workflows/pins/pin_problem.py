"""Why a signature of the project cannot be what a job wants it to be."""

from __future__ import annotations

from typing import NamedTuple


class PinProblem(NamedTuple):
    """Why a signature is of no use where it is named.

    Attributes:
        location: in the file that has to be mended.
        message: one sentence.
        hint: what to do, or None.
        key: whether it is about the key at ``location`` and not its value.
    """

    location: tuple[str, ...]
    message: str
    hint: str | None = None
    key: bool = False
