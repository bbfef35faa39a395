"""JSON files for people: canonical content, one fact per line.

Keys stand in the order of RFC 8785 (UTF-16 code units), indented by two spaces, with LF and a
newline at the end. Texts and numbers are spelled as RFC 8785 spells them, with one exception: a
float of 2^53 or more that RFC 8785 would write as a bare integer gets an exponent, because strict
readers refuse integers that a double cannot tell apart. Hashes never see the spelling.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dse_cli.canonical import canonical_bytes, canonical_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def json_file_bytes(value: Any) -> bytes:
    """Return the bytes of a JSON file that holds ``value``.

    ``canonical_bytes(json.loads(result)) == canonical_bytes(value)`` for every JSON value.

    Raises:
        NotCanonicalError: the value has no RFC 8785 form.
    """
    canonical_bytes(value)  # refuses what JSON cannot hold before a line is made
    return ("".join(_pieces(value, "\n")) + "\n").encode()


def number_text(number: float) -> str:
    """Return a number (never a bool) as every strict reader takes it back."""
    if isinstance(number, float) and abs(number) >= 2**53:
        return repr(number)
    return canonical_text(number)


def sorted_keys(mapping: Mapping[str, Any]) -> list[str]:
    """Return the keys in the order of RFC 8785: by UTF-16 code units."""
    return sorted(mapping, key=lambda key: key.encode("utf-16-be"))


def _pieces(value: Any, newline: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        yield from _mapping(value, newline)
    elif isinstance(value, list | tuple) and value:
        deeper = newline + "  "
        for index, item in enumerate(value):
            yield ("," if index else "[") + deeper
            yield from _pieces(item, deeper)
        yield newline + "]"
    else:
        yield _scalar(value)


def _mapping(value: dict[str, Any], newline: str) -> Iterator[str]:
    deeper = newline + "  "
    for index, key in enumerate(sorted_keys(value)):
        yield ("," if index else "{") + deeper + canonical_text(key) + ": "
        yield from _pieces(value[key], deeper)
    yield newline + "}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return canonical_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return json.dumps(value)  # true, false, null, {} and []
    return number_text(value)
