"""``did you mean``: the nearest known word to one that is not known."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_CUTOFF = 0.6
_LONGEST = 120


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word nearest to ``word``, or None when nothing is near.

    Case is ignored. A unique completion (``temp`` for ``temperature``) counts as near, though its
    similarity is low. Ties go to the first word in sorted order.
    """
    if not word or len(word) > _LONGEST:
        return None
    folded = word.casefold()
    candidates = sorted(set(known))
    best: tuple[float, str] | None = None
    for candidate in candidates:
        score = SequenceMatcher(None, folded, candidate.casefold()).ratio()
        if score >= _CUTOFF and (best is None or score > best[0]):
            best = (score, candidate)
    if best is not None:
        return best[1]
    completions = [c for c in candidates if len(folded) >= 2 and c.casefold().startswith(folded)]
    return completions[0] if len(completions) == 1 else None


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "") -> str | None:
    """Return a hint: ``did you mean 'x'?``, or the list of known words after ``otherwise``.

    Args:
        otherwise: words before the list (``known keys``); empty means no list.
    """
    words = list(known)
    match = nearest(word, words)
    if match is not None:
        return f"did you mean {match!r}?"
    if otherwise and words:
        return f"{otherwise}: {', '.join(sorted(set(words)))}"
    return None
