"""``knn.v1``: which demos of a pool an input is shown.

Liu et al. 2022, "What Makes Good In-Context Examples for GPT-3?" (KATE, section 3): the demos that
are nearest to the input. They are shown in order of similarity, the most alike last and so next to
the question, where a model heeds it most. Similarity is exact (:mod:`dse_cli.lm.vectors`); of two
demos that are equally alike the one with the smaller id is nearer.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import canonical_bytes, short
from dse_cli.contracts.demo_index import embedded_text, index_problem
from dse_cli.contracts.errors import AlteredError, IntegrityError, ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse, Message, ModelIdentity
from dse_cli.lm.vectors import Vector, product, read_vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.contracts.params import DemoSelector
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.runtime.policy import Policy

#: Tokens that an embedder adds to a text, at most.
EMBED_OVERHEAD = 16


class DemoSelection:
    """The selector of one policy with the vectors of its pool.

    Raises:
        IntegrityError: the policy came without its index.
        AlteredError: the index is not of this pool.
    """

    def __init__(self, policy: Policy, selector: DemoSelector) -> None:
        if policy.index is None:
            raise IntegrityError(
                f"the index {short(selector.index)} of the policy was not loaded",
                hint="restore the file under artifacts/ from git",
            )
        check_index(policy.index, selector, policy.demos)
        self.k = min(selector.k, len(policy.demos))
        self.embedder = selector.embedder
        self._pool = [
            (demo, read_vector(entry.vector))
            for demo, entry in zip(policy.demos, policy.index.demos, strict=True)
        ]

    def nearest(self, response: LmResponse) -> tuple[Demo, ...]:
        """Return the ``k`` demos nearest to an embedded input, the most alike last.

        Raises:
            ProviderError: the response is no vector of this index.
        """
        try:
            return nearest(read_vector(response.text), self._pool, self.k)
        except ValueError as error:
            raise ProviderError(
                f"{self.embedder}: the embedding does not belong to the index of the demos: "
                f"{error}",
                hint="compile again with the embedder as it is now",
            ) from None

    def longest(self) -> tuple[Demo, ...]:
        """Return ``k`` demos than which no choice is longer, for bounds."""
        by_size = sorted((demo for demo, _ in self._pool), key=_size, reverse=True)
        return tuple(by_size[: self.k])


def nearest(query: Vector, pool: Iterable[tuple[Demo, Vector]], k: int) -> tuple[Demo, ...]:
    """Return the ``k`` demos most like a vector, the most alike last.

    Raises:
        ValueError: vectors of another length.
    """

    def order(item: tuple[Demo, Vector]) -> tuple[Fraction, str]:
        demo, vector = item
        dot = product(query, vector)
        # Its similarity but for the length of the query, which is the same for every demo.
        return -Fraction(dot * abs(dot), product(vector, vector)), demo.id

    ranked = sorted(pool, key=order)
    return tuple(demo for demo, _ in reversed(ranked[:k]))


def embed_request(
    identity: ModelIdentity, value: Mapping[str, Any], path: str, timeout_s: float | None = None
) -> LmRequest:
    """Return the call that embeds an input. A sample of it is like any other: its rollout is 0."""
    return LmRequest(
        identity=identity,
        messages=(Message("user", embedded_text(value)),),
        path=path,
        timeout_s=timeout_s,
        task="embed",
    )


def embed_bound(value: Mapping[str, Any], more_bytes: int = 0) -> int:
    """Return tokens that embedding an input cannot exceed: at most one a byte."""
    return len(embedded_text(value).encode()) + more_bytes + EMBED_OVERHEAD


def check_index(index: DemoIndex, selector: DemoSelector, demos: Sequence[Demo]) -> None:
    """Make sure that an index is the one of a selector and its pool, and can be used.

    Raises:
        AlteredError: it is another one, or its vectors are none.
    """
    problem = index_problem(index, selector, demos) or _vector_problem(index)
    if problem is not None:
        raise AlteredError(
            f"the index {short(selector.index)} of the demos was altered: {problem}",
            hint="restore it from git",
        )


def _vector_problem(index: DemoIndex) -> str | None:
    lengths = set()
    for entry in index.demos:
        try:
            lengths.add(len(read_vector(entry.vector)))
        except ValueError as error:
            return f"the vector of {entry.id} cannot be read: {error}"
    return "its vectors differ in length" if len(lengths) > 1 else None


def _size(demo: Demo) -> tuple[int, str]:
    return len(canonical_bytes(demo.input)) + len(canonical_bytes(demo.output)), demo.id
