"""From a few hex digits, or a file name, to the one stored object that they mean."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.errors import UsageError
from dse_cli.project.names import MIN_HASH_PREFIX
from dse_cli.project.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_SHORT: Final = 12  #: hex digits of a hash in file names
_HEX: Final = re.compile(r"[0-9a-f]+")
_MOST_LISTED: Final = 8


@dataclass(frozen=True)
class Candidate:
    """Something that can be meant.

    Attributes:
        label: how messages name it, and what names it in full.
        shorts: first 12 hex digits of each hash that it is known by.
        hashes: returns the full hashes; called only when more than 12 digits were given.
    """

    label: str
    shorts: tuple[str, ...]
    hashes: Callable[[], Iterable[str]]

    def starts_with(self, digits: str) -> bool:
        """Whether one of its hashes starts with the digits."""
        if not any(known.startswith(digits[:_SHORT]) for known in self.shorts):
            return False
        return len(digits) <= _SHORT or any(
            known.removeprefix("sha256:").startswith(digits) for known in self.hashes()
        )


def find_one(written: str, candidates: Sequence[Candidate], *, what: str) -> Candidate:
    """Return the candidate that ``written`` names: its label, or the start of one of its hashes.

    Args:
        written: as typed; ``sha256:``, folders before the name and ``.json`` are optional.
        what: the word for messages (``artifact``, ``run``).

    Raises:
        UsageError: nothing matches, several do, or it is no hash; lists what there is.
    """
    stem = written.strip().rsplit("/", 1)[-1].removesuffix(".json")
    digits = stem.removeprefix("sha256:").lower()
    for candidate in candidates:
        if stem in {candidate.label, candidate.label.rsplit("/", 1)[-1].removesuffix(".json")}:
            return candidate
    if len(digits) >= MIN_HASH_PREFIX and _HEX.fullmatch(digits):
        found = [candidate for candidate in candidates if candidate.starts_with(digits)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{written!r} means more than one {what}: {_listed(found)}",
                hint="give more digits, or the whole name of one of them",
            )
    raise UsageError(f"no {what} {written!r}", hint=_hint(digits, candidates, what))


def _hint(digits: str, candidates: Sequence[Candidate], what: str) -> str:
    if not candidates:
        return f"there is no {what} yet; 'dse compile' makes one"
    counts = Counter(short for one in candidates for short in {*one.shorts, one.label})
    # What two objects share is ambiguous itself: to suggest it would help nobody.
    owners = {
        short: one for one in candidates for short in (*one.shorts, one.label) if counts[short] == 1
    }
    if (match := nearest(digits, owners)) is not None:
        return f"did you mean {match} ({owners[match].label})?"
    if len(digits) < MIN_HASH_PREFIX or not _HEX.fullmatch(digits):
        return (
            f"give its name or at least {MIN_HASH_PREFIX} digits (0-9, a-f) of its hash; "
            f"there are: {_listed(candidates)}"
        )
    return f"there are: {_listed(candidates)}"


def _listed(candidates: Sequence[Candidate]) -> str:
    labels = sorted(candidate.label for candidate in candidates)
    more = len(labels) - _MOST_LISTED
    return ", ".join(labels[:_MOST_LISTED]) + (f" and {more} more" if more > 0 else "")
