"""The lexical embedder: hashed character n-grams, computed here, with no model and no weights.

Feature hashing (Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning",
section 2): each character n-gram of the text is hashed to one of 1024 components and to a sign,
so that collisions cancel instead of adding up. It knows spelling and not meaning: texts are alike
when they share words and parts of words. ``docs/knn.md`` says how it compares with real embedders.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.lm import LmResponse, ModelIdentity, Usage
from dse_cli.lm.routes import Route
from dse_cli.lm.vectors import quantise, vector_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.lm import LmRequest

LEXICAL_ALIAS: Final = "lexical-embed"
#: The version is part of the name: another way to hash is another embedder.
LEXICAL: Final = ModelIdentity("builtin/hashed-char-ngrams.v1")
LEXICAL_ROUTE: Final = Route(LEXICAL.model, max_retries=0, free=True, in_process=True)

_DIMENSIONS: Final = 1024
_LENGTHS: Final = (3, 4, 5)
_WORD: Final = re.compile(r"\w+")


def is_lexical(identity: ModelIdentity) -> bool:
    """Whether an identity names this embedder."""
    return identity.model == LEXICAL.model


def lexical_response(request: LmRequest) -> LmResponse:
    """Answer an embedding request; it uses no tokens and costs nothing."""
    vector = lexical_vector(request.messages[-1].content)
    return LmResponse(text=vector_text(vector), served_model=LEXICAL.model, usage=Usage(0, 0, 0))


def lexical_vector(text: str) -> tuple[int, ...]:
    """Return the quantised vector of a text; every text has one."""
    found = [0] * _DIMENSIONS
    # In sorted order only for the reader of a debugger: sums of integers have no order.
    for gram in sorted(set(_grams(text))):
        digest = hashlib.sha256(gram.encode()).digest()
        found[int.from_bytes(digest[:4], "big") % _DIMENSIONS] += 1 if digest[4] & 1 else -1
    if not any(found):
        found[0] = 1  # a text without a single n-gram still has a place
    return quantise(found)


def _grams(text: str) -> Iterator[str]:
    """Yield the n-grams of the words, case and spacing taken away; blanks mark the ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = f" {' '.join(_WORD.findall(folded)) or folded} "
    for length in _LENGTHS:
        for start in range(len(words) - length + 1):
            yield words[start : start + length]
