"""From YAML parser events to a tree with positions, without ever making an object by tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from dse_cli.project.document import MAX_DEPTH, Entry, Node
from dse_cli.project.yaml_scalars import NumberTooLargeError, resolve_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.source_text import SourceText

#: Values that all aliases of a file may expand to, together.
MAX_ALIASED: Final = 1_000

# libyaml where it is installed; the parser in Python reads the same, slower.
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STRING_TAGS: Final = frozenset({"!", "tag:yaml.org,2002:str"})
_COLLECTION_TAGS: Final = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class StopReading(Exception):  # noqa: N818 - control flow: the problem is already recorded
    """Reading cannot go on."""


class YamlComposer:
    """Builds the tree from parser events and collects problems."""

    def __init__(self, source: SourceText) -> None:
        self.source = source
        self.problems: list[Diagnostic] = []
        self._events: Iterator[Event] = iter(yaml.parse(source.text, Loader=_LOADER))
        self._anchors: dict[str, Node] = {}
        self._aliased = 0

    def document(self) -> Node | None:
        """Return the only document of the stream, or None when the file is empty."""
        next(self._events)
        start = next(self._events)
        if isinstance(start, StreamEndEvent):
            return None
        if isinstance(start, DocumentStartEvent):
            self._directives(start)
        root = self._node(next(self._events), 1)
        next(self._events)
        second = next(self._events)
        if not isinstance(second, StreamEndEvent):
            self._problem(
                second,
                "several-documents",
                "a second YAML document starts here, expected one",
                "remove the '---' or use two files",
            )
        return root

    def _directives(self, start: DocumentStartEvent) -> None:
        if start.tags or (start.version and tuple(start.version) != (1, 2)):
            self._problem(start, "yaml-directive", "%TAG and %YAML directives are not supported")

    def _node(self, event: Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._problem(event, "nested-too-deeply", f"nested deeper than {MAX_DEPTH} levels")
            raise StopReading
        if isinstance(event, AliasEvent):
            return self._alias(event, depth)
        if isinstance(event, ScalarEvent):
            node = self._scalar(event)
        elif isinstance(event, SequenceStartEvent):
            node = self._sequence(event, depth)
        elif isinstance(event, MappingStartEvent):
            node = self._mapping(event, depth)
        else:
            raise StopReading
        anchor = getattr(event, "anchor", None)
        if anchor is not None:
            # Known only once it is complete: an alias inside its own anchor stays undefined.
            self._anchors[anchor] = node
        return node

    def _alias(self, event: AliasEvent, depth: int) -> Node:
        target = self._anchors.get(event.anchor or "")
        if target is None:
            self._problem(
                event,
                "unknown-alias",
                f"the alias *{event.anchor} has no anchor before it",
                "quote the text if it is not meant as an alias",
            )
            return Node(self._offset(event))
        self._aliased += target.size
        if self._aliased > MAX_ALIASED or depth + target.height - 1 > MAX_DEPTH:
            self._problem(
                event,
                "alias-expansion",
                f"aliases expand to more than {MAX_ALIASED} values or {MAX_DEPTH} levels",
                "write the values out",
            )
            raise StopReading
        return target

    def _scalar(self, event: ScalarEvent) -> Node:
        offset = self._offset(event)
        tag: str | None = event.tag
        if tag is not None and tag not in _STRING_TAGS:
            self._tag(event, tag)
        plain = tag is None and event.implicit[0]
        try:
            value = resolve_plain(event.value) if plain else event.value
        except NumberTooLargeError as error:
            shown = event.value if len(event.value) <= 24 else event.value[:20] + "..."
            self._problem(
                event, "number-too-large", f"the number {shown} is {error}", "quote it as a text"
            )
            value = None
        return Node(offset, value)

    def _sequence(self, event: SequenceStartEvent, depth: int) -> Node:
        self._collection_tag(event)
        items: list[Node] = []
        while not isinstance(child := next(self._events), SequenceEndEvent):
            items.append(self._node(child, depth + 1))
        return Node.sequence(self._offset(event), items)

    def _mapping(self, event: MappingStartEvent, depth: int) -> Node:
        self._collection_tag(event)
        entries: dict[str, Entry] = {}
        while not isinstance(key_event := next(self._events), MappingEndEvent):
            key = self._node(key_event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            name = self._key(key_event, key)
            if name is None:
                continue
            if name in entries:
                line, column = self.source.position(entries[name].key_offset)
                self._problem(
                    key_event,
                    "duplicate-key",
                    f"the key {name!r} is given twice, first at line {line}, column {column}",
                    "remove one of the two",
                )
                continue
            entries[name] = Entry(self._offset(key_event), value)
        return Node.mapping(self._offset(event), entries)

    def _key(self, event: Event, node: Node) -> str | None:
        """Return the text of a key, or None after recording why it is none."""
        if isinstance(event, ScalarEvent) and event.value == "<<" and event.implicit[0]:
            message = "merge keys ('<<') are not supported"
            self._problem(event, "merge-key", message, "write the keys out")
            return None
        if isinstance(node.scalar, str):
            return node.scalar
        if node.entries is not None or node.items is not None:
            message = "a key must be a text, not a list or a mapping"
            hint = 'quote text that starts with "{" or "["'
        else:
            written = event.value if isinstance(event, ScalarEvent) else ""
            message = f"a key must be a text, and {written or 'nothing'} without quotes is not one"
            hint = f'write "{written}"'
        self._problem(event, "invalid-key", message, hint)
        return None

    def _collection_tag(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        if event.tag is not None and event.tag not in _COLLECTION_TAGS:
            self._tag(event, event.tag)

    def _tag(self, event: Event, tag: str) -> None:
        short = tag.replace("tag:yaml.org,2002:", "!!")
        self._problem(
            event,
            "yaml-tag",
            f"the tag {short} is not supported",
            "remove it; quote the text if it starts with '!'",
        )

    def _problem(self, event: Event, code: str, message: str, hint: str | None = None) -> None:
        self.problems.append(self.source.diagnostic(self._offset(event), code, message, hint))

    def _offset(self, event: Event) -> int:
        mark = event.start_mark
        return int(mark.index) if mark is not None else 0
