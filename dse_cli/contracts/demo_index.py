"""The vectors of a pool of demos: ``artifacts/<name>/indexes/<hash12>.json``.

An index is immutable and named by the hash of its content, which the params of a policy hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from dse_cli.canonical import canonical_text, sha256_of, sha256_of_text, short
from dse_cli.contracts.base import Contract, Items, RowId, Sha256

if TYPE_CHECKING:
    from dse_cli.contracts.params import DemoSelector
    from dse_cli.contracts.prompt_ir import Demo

INDEX_FORMAT: Final = "dse/demo_index/v1"


class IndexedDemo(Contract):
    """A demo of the pool.

    Attributes:
        id: of the demo.
        text: hash of the text that was embedded.
        vector: what the embedder answered, as recorded: canonical JSON of integers.
    """

    id: RowId
    text: Sha256
    vector: str


class DemoIndex(Contract):
    """The whole of an index.

    Attributes:
        embedder: resolved name of the model that made the vectors.
        demos: in the order of the pool.
    """

    format: Literal["dse/demo_index/v1"]
    embedder: str
    demos: Items[IndexedDemo]

    @cached_property
    def digest(self) -> str:
        """``sha256:...`` of its canonical content."""
        return sha256_of(self.to_json())


def make_index(embedder: str, demos: Sequence[Demo], vectors: Sequence[str]) -> DemoIndex:
    """Return the index of a pool; ``vectors`` are the embedder's responses, in its order."""
    return DemoIndex(
        format=INDEX_FORMAT,
        embedder=embedder,
        demos=tuple(
            IndexedDemo(id=demo.id, text=text_digest(demo.input), vector=vector)
            for demo, vector in zip(demos, vectors, strict=True)
        ),
    )


def index_problem(index: DemoIndex, selector: DemoSelector, demos: Sequence[Demo]) -> str | None:
    """Return in what an index is not the one of a selector and its pool, or None."""
    if index.digest != selector.index:
        return f"its content has the hash {short(index.digest)}"
    if index.embedder != selector.embedder:
        return f"its vectors are of the embedder {index.embedder}, not {selector.embedder}"
    pool = [(demo.id, text_digest(demo.input)) for demo in demos]
    if [(entry.id, entry.text) for entry in index.demos] != pool:
        return "its entries are not the demos of the policy"
    return None


def embedded_text(value: Mapping[str, Any]) -> str:
    """Return the text by which an input is embedded.

    One field of text stands for itself; anything else is embedded as canonical JSON, so that no
    part of an input is left out silently.
    """
    if len(value) == 1:
        only = next(iter(value.values()))
        if isinstance(only, str) and only:
            return only
    return canonical_text(value)


def text_digest(value: Mapping[str, Any]) -> str:
    """Return the hash of the text by which an input is embedded."""
    return sha256_of_text(embedded_text(value))
