"""``knn.v1``: which demos of a pool an input is shown.

Liu et al. 2022, "What Makes Good In-Context Examples for GPT-3?" (KATE, section 3): the demos that
are nearest to the input. They are shown in order of similarity, the most alike last and so next to
the question, where a model heeds it most. Similarity is exact (:mod:`dse_cli.lm.vector_pool`); of
two demos that are equally alike the one with the smaller id is nearer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import canonical_bytes, short
from dse_cli.contracts.demo_index import embedded_text, index_problem
from dse_cli.contracts.errors import AlteredError, IntegrityError, ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse, Message, ModelIdentity
from dse_cli.lm.vector_pool import VectorPool
from dse_cli.lm.vectors import read_vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.contracts.params import DemoSelector
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.lm.vectors import Vector
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
        self.k = min(selector.k, len(policy.demos))
        self.embedder = selector.embedder
        self._demos = policy.demos
        self._pool = VectorPool(pool_vectors(policy.index, selector, policy.demos))

    def nearest(self, response: LmResponse) -> tuple[Demo, ...]:
        """Return the ``k`` demos nearest to an embedded input, the most alike last.

        Raises:
            ProviderError: the response is no vector of this index.
        """
        try:
            likeness = self._pool.likeness(read_vector(response.text))
        except ValueError as error:
            raise ProviderError(
                f"{self.embedder}: the embedding does not belong to the index of the demos: "
                f"{error}",
                hint="compile again with the embedder as it is now",
            ) from None
        ranked = sorted(zip(likeness, self._demos, strict=True), key=_nearest_first)
        return tuple(demo for _, demo in reversed(ranked[: self.k]))

    def longest(self) -> tuple[Demo, ...]:
        """Return ``k`` demos than which no choice is longer, for bounds."""
        by_size = sorted(self._demos, key=_size, reverse=True)
        return tuple(by_size[: self.k])


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


def pool_vectors(
    index: DemoIndex, selector: DemoSelector, demos: Sequence[Demo]
) -> tuple[Vector, ...]:
    """Return the vectors of a pool from the index that a selector names.

    Raises:
        AlteredError: it is another index, or its vectors are none.
    """
    problem = index_problem(index, selector, demos)
    vectors: list[Vector] = []
    for entry in index.demos if problem is None else ():
        try:
            vectors.append(read_vector(entry.vector))
        except ValueError as error:
            problem = f"the vector of {entry.id} cannot be read: {error}"
            break
    if problem is None and len(set(map(len, vectors))) > 1:
        problem = "its vectors differ in length"
    if problem is not None:
        raise AlteredError(
            f"the index {short(selector.index)} of the demos was altered: {problem}",
            hint="restore it from git",
        )
    return tuple(vectors)


def _nearest_first(item: tuple[int, Demo]) -> tuple[int, str]:
    likeness, demo = item
    return -likeness, demo.id


def _size(demo: Demo) -> tuple[int, str]:
    return len(canonical_bytes(demo.input)) + len(canonical_bytes(demo.output)), demo.id
