"""Made-up answers: objects in the shape of an output schema, of about the length that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

#: Characters of a text that a proposer writes, where nobody knows better.
USUAL_TEXT: Final = 400
#: Texts of a list that a proposer writes.
USUAL_LIST: Final = 3


def made_up(schema: Mapping[str, Any], name: str, room: int) -> dict[str, Any]:
    """Return an object in the shape of an output schema, with texts that say ``name``.

    Args:
        room: bytes that all texts together may have, as JSON.
    """
    found = schema.get("properties")
    properties: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    texts = sum(_type_of(kind) in {"string", "array"} for kind in properties.values()) or 1
    return {
        field: _value(kind, f"{name} {field}", room // texts) for field, kind in properties.items()
    }


def _type_of(kind: Any) -> str:
    """Return the type of a schema, ``fixed`` where it names its values; ``string`` is a guess."""
    if not isinstance(kind, Mapping):
        return "string"
    if "const" in kind or kind.get("enum"):
        return "fixed"
    named = kind.get("type", "string")
    names = named if isinstance(named, list) else [named]
    return next((str(name) for name in names if name != "null"), "null")


def _value(kind: Any, name: str, room: int) -> Any:
    match _type_of(kind):
        case "fixed":
            return kind["const"] if "const" in kind else kind["enum"][0]
        case "null":
            return None
        case "boolean":
            return False
        case "integer" | "number":
            return kind.get("minimum", 0)
        case "array":
            each = room // USUAL_LIST
            items = kind.get("items", {})
            return [_value(items, f"{name} {index}", each) for index in range(USUAL_LIST)]
        case "object":
            return made_up(kind, name, room)
    most = kind.get("maxLength", room) if isinstance(kind, Mapping) else room
    return _text(name, min(room, most))


def _text(name: str, size: int) -> str:
    """Return words that begin with ``name``, of about ``size`` characters."""
    words = f"Made up {name}." if size >= USUAL_TEXT // 10 else name
    filler = " Read the input, then answer."
    return (words + filler * max(0, (size - len(words)) // len(filler)))[: max(size, len(name))]
