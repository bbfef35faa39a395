"""Many vectors, and how alike each of them is to another one: exact, and fast for large pools.

Plain Python is fast enough for a few inputs and a small pool. Only when much has been multiplied is
numpy imported, which costs about as much as has been spent by then. Both add up integers of at most
64 bits, so which of them answered cannot be seen.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Final

from dse_cli.lm.vectors import LARGEST, MOST_DIMENSIONS, Vector, product

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Multiplications in plain Python (about 50 ns each) before numpy takes over.
PLAIN_WORK: Final = 2_000_000
#: A squared length, and a dot product, has at most so many bits.
_BITS: Final = (LARGEST * LARGEST * MOST_DIMENSIONS).bit_length()


class VectorPool:
    """Vectors to compare others with.

    Args:
        vectors: of one length.
    """

    def __init__(self, vectors: Sequence[Vector]) -> None:
        self._vectors = tuple(vectors)
        self._squares: list[int] | None = None
        self._matrix: NDArray[np.int64] | None = None
        self._plain_work = 0

    def likeness(self, query: Vector) -> list[int]:
        """Return, for each vector of the pool, an integer in the order of its similarity.

        That is ``sign(d) * d^2 / |a|^2``, the similarity but for the length of the query, which is
        the same for all. Two such fractions that differ do so by more than one part in the product
        of their denominators, so scaled by more than that product they round down to different
        integers: the order is exact, ties included.

        Raises:
            ValueError: a vector of another length.
        """
        if self._squares is None:
            self._squares = [product(vector, vector) for vector in self._vectors]
        return [
            (dot * abs(dot) << 2 * _BITS) // square
            for dot, square in zip(self._products(query), self._squares, strict=True)
        ]

    def _products(self, query: Vector) -> list[int]:
        if self._vectors and len(query) != len(self._vectors[0]):
            raise ValueError(f"it has {len(query)} numbers, not {len(self._vectors[0])}")
        self._plain_work += len(self._vectors) * len(query)
        if self._plain_work <= PLAIN_WORK:
            return [product(query, vector) for vector in self._vectors]
        import numpy as np

        if self._matrix is None:
            components = array("b", chain.from_iterable(self._vectors))
            matrix = np.frombuffer(components, dtype=np.int8).astype(np.int64)
            self._matrix = matrix.reshape(len(self._vectors), -1)
        found: list[int] = (self._matrix @ np.array(query, dtype=np.int64)).tolist()
        return found
