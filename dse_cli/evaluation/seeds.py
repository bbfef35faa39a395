"""Named sub-streams of one seed, so that no two draws of a run ever share or disturb each other.

A sub-stream depends on the run's seed and its own name only: adding a draw somewhere moves no
other. Everything is derived by sha256, never by adding numbers to a seed, and 0 is a seed.
"""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from dse_cli.canonical import canonical_bytes

if TYPE_CHECKING:
    import numpy as np


def substream_seed(seed: int, *names: str) -> int:
    """Return the 64-bit seed of a named sub-stream.

    Args:
        seed: the run's seed, any integer.
        names: the place of the draw, from coarse to fine (``"fewshot"``, ``"pool"``).
    """
    # The seed goes in as text: RFC 8785 has no integers beyond 2^53.
    digest = hashlib.sha256(canonical_bytes([str(int(seed)), *names])).digest()
    return int.from_bytes(digest[:8], "big")


def substream(seed: int, *names: str) -> random.Random:
    """Return the generator of a named sub-stream."""
    return random.Random(substream_seed(seed, *names))


def unit_draw(seed: int, *names: str) -> float:
    """Return one number in [0, 1) for a name: the same for ever, whatever else is drawn."""
    return (substream_seed(seed, *names) >> 11) * 2.0**-53


def numpy_substream(seed: int, *names: str) -> np.random.Generator:
    """Return the numpy generator (PCG64) of a named sub-stream.

    Numpy promises the raw stream of a bit generator across versions, not the methods of
    ``Generator``. What ends in a recorded number is therefore drawn from
    ``bit_generator.random_raw``.
    """
    import numpy as np

    return np.random.Generator(np.random.PCG64(substream_seed(seed, *names)))
