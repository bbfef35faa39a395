"""A parsed file with the position of every key and value: what YAML and JSON have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dse_cli.contracts.project import SECRET_SHAPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.source_text import SourceText

Loc = tuple[str | int, ...]
Scalar = str | int | float | bool | None

#: Deepest nesting of any file; deeper is a mistake or an attack on the parser's stack.
MAX_DEPTH = 64
#: Largest integer that JSON readers agree on (RFC 8785 refuses more).
MAX_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One key of a mapping: where the key stands, and its value."""

    key_offset: int
    node: Node


@dataclass(frozen=True, slots=True)
class Node:
    """One value and where it starts, as a character offset.

    Exactly one of ``entries`` and ``items`` is set for a collection, none for a scalar.
    ``size`` counts this node and all below it; ``height`` is 1 for a scalar.
    """

    offset: int
    scalar: Scalar = None
    entries: dict[str, Entry] | None = None
    items: list[Node] | None = None
    size: int = 1
    height: int = 1

    @classmethod
    def mapping(cls, offset: int, entries: dict[str, Entry]) -> Node:
        size, height = _measure([entry.node for entry in entries.values()])
        return cls(offset, entries=entries, size=size, height=height)

    @classmethod
    def sequence(cls, offset: int, items: list[Node]) -> Node:
        size, height = _measure(items)
        return cls(offset, items=items, size=size, height=height)

    def child(self, part: str | int) -> Entry | None:
        """Return the child under a key or an index, or None."""
        if self.entries is not None and isinstance(part, str):
            return self.entries.get(part)
        if self.items is not None and isinstance(part, int) and 0 <= part < len(self.items):
            return Entry(self.items[part].offset, self.items[part])
        return None

    def to_value(self) -> Any:
        """Return plain Python: dict, list, str, int, float, bool, None; nothing is shared."""
        if self.entries is not None:
            return {key: entry.node.to_value() for key, entry in self.entries.items()}
        if self.items is not None:
            return [item.to_value() for item in self.items]
        return self.scalar


def _measure(children: list[Node]) -> tuple[int, int]:
    size = 1 + sum(child.size for child in children)
    return size, 1 + max((child.height for child in children), default=0)


class Document:
    """A parsed file: its value, and where every part of it stands.

    Attributes:
        source: the text.
        value: the whole value as plain JSON-like Python.
    """

    def __init__(self, source: SourceText, value: Any, tree: Callable[[], Node]) -> None:
        self.source = source
        self.value = value
        self._tree = tree

    @property
    def name(self) -> str:
        """Path relative to the project root, with forward slashes."""
        return self.source.name

    @cached_property
    def root(self) -> Node:
        """The positions, computed on first use."""
        return self._tree()

    def offset(self, loc: Loc, *, key: bool = False) -> int:
        """Return the character offset of a value or key, or of its nearest known parent."""
        node, offset = self.root, self.root.offset
        for index, part in enumerate(loc):
            entry = node.child(part)
            if entry is None:
                break
            node = entry.node
            offset = entry.key_offset if key and index == len(loc) - 1 else node.offset
        return offset

    def position(self, loc: Loc, *, key: bool = False) -> tuple[int, int]:
        """Return the 1-based line and column of a value or key, or of its nearest known parent."""
        return self.source.position(self.offset(loc, key=key))

    def line_text(self, line: int) -> str:
        """Return one line as it stands in the file."""
        return self.source.line_text(line)

    def part(self, loc: Loc, value: Any) -> Document:
        """Return what stands at ``loc`` as a document of its own, with its positions in this one.

        Args:
            value: what is taken for it, where something else may have replaced what is written.
        """
        node = self.root
        for step in loc:
            entry = node.child(step)
            if entry is None:
                break
            node = entry.node
        return Document(self.source, value, lambda: node)

    def diagnostic(
        self, loc: Loc, code: str, message: str, hint: str | None = None, *, key: bool = False
    ) -> Diagnostic:
        """Return an error about the value (or key) at ``loc``, with its line."""
        return self._shown(self.source.diagnostic(self.offset(loc, key=key), code, message, hint))

    def secrets(self) -> list[Diagnostic]:
        """Return one error for everything that looks like a key.

        The raw text is read as well as the values: a key in a comment has leaked just the same,
        and a key spelled with escapes is only visible in the value.
        """
        plain = [match.start() for match in SECRET_SHAPE.finditer(self.source.text)]
        return [
            self._shown(
                self.source.diagnostic(
                    offset,
                    "secret-in-spec",
                    "this looks like a secret key, and keys do not belong into a file",
                    "remove it, revoke it, and name its environment variable in 'api_key_env'",
                )
            )
            for offset in [*plain, *self._escaped_secrets]
        ]

    @cached_property
    def _escaped_secrets(self) -> list[int]:
        """Offsets of texts with a key that the raw text does not show, so no mask can hide it."""
        plain = {match.group() for match in SECRET_SHAPE.finditer(self.source.text)}
        return [
            offset
            for offset, text in _texts(self.root)
            if any(match.group() not in plain for match in SECRET_SHAPE.finditer(text))
        ]

    def _shown(self, found: Diagnostic) -> Diagnostic:
        lines = {self.source.position(offset)[0] for offset in self._escaped_secrets}
        return replace(found, source=None) if found.line in lines else found


def _texts(node: Node) -> Iterator[tuple[int, str]]:
    """Yield every key and every text with its offset."""
    if node.entries is not None:
        for key, entry in node.entries.items():
            yield entry.key_offset, key
            yield from _texts(entry.node)
    elif node.items is not None:
        for item in node.items:
            yield from _texts(item)
    elif isinstance(node.scalar, str):
        yield node.offset, node.scalar
