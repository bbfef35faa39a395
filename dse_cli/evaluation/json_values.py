"""JSON values as metrics see them: equality, normalised texts, and a place inside a value."""

from __future__ import annotations

import json
import re
import string
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from dse_cli.evaluation.schema_fields import is_index

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.base import Normalization

_SHOWN: Final = 300
#: One for all: ``json.dumps`` makes an encoder of its own at every call.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, sort_keys=True)
_ARTICLES: Final = re.compile(r"\b(a|an|the)\b", re.IGNORECASE)


class Missing:
    """The type of :data:`MISSING`: no value stands there. ``null`` is a value."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()


def is_number(value: Any) -> bool:
    """Tell a JSON number; ``true`` is none, though Python counts it among the integers."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def equal(left: Any, right: Any) -> bool:
    """Tell whether two JSON values have the same RFC 8785 form: 1 equals 1.0, true is not 1."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(equal, left, right))
    if is_number(left) and is_number(right):
        return bool(left == right)
    return type(left) is type(right) and bool(left == right)


def normalized(value: Any, steps: Sequence[Normalization]) -> Any:
    """Return a value with every text in it normalised, step by step; keys are left alone."""
    if not steps:
        return value
    if isinstance(value, str):
        for step in steps:
            value = _normalized_text(value, step)
        return value
    if isinstance(value, dict):
        return {key: normalized(item, steps) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [normalized(item, steps) for item in value]
    return value


def _normalized_text(text: str, step: Normalization) -> str:
    if step == "strip":
        return text.strip()
    if step == "casefold":
        return text.casefold()
    if step == "unicode_nfkc":
        return unicodedata.normalize("NFKC", text)
    if step == "strip_punctuation":
        return "".join(char for char in text if not is_punctuation(char))
    if step == "drop_articles":
        # A gap is left where an article stood, so white space is collapsed with it.
        text = _ARTICLES.sub(" ", text)
    return " ".join(text.split())


def is_punctuation(char: str) -> bool:
    """Tell punctuation: all of ASCII's, symbols like ``$`` among it, and Unicode's category P."""
    return char in string.punctuation or unicodedata.category(char).startswith("P")


def value_at(value: Any, path: str) -> Any:
    """Return what stands at a dotted path (list indexes from 0), or :data:`MISSING`."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and is_index(part):
            index = int(part)
            if index >= len(value):
                return MISSING
            value = value[index]
        else:
            return MISSING
    return value


def json_text(value: Any) -> str:
    """Return a value as JSON for people, keys sorted."""
    return _ENCODER.encode(value)


def shown(value: Any) -> str:
    """Return a value as JSON for feedback, shortened visibly when it is long."""
    if value is MISSING:
        return "nothing"
    text = json_text(value)
    if len(text) <= _SHOWN:
        return text
    return f"{text[:_SHOWN]}... ({len(text)} characters)"


def shortened(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters; a cut is marked, with the full length."""
    if len(text) <= most:
        return text
    mark = f"... ({len(text)} characters)"
    return text[: most - len(mark)] + mark


def kind_of(value: Any) -> str:
    """Return the JSON type of a value in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if is_number(value):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list | tuple) else "an object"
