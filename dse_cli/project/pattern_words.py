"""What a text has to look like, in words with an example: nobody should have to read a pattern.

The patterns are those of the contracts of files that people write; a test keeps the table whole.
"""

from __future__ import annotations

from typing import Final

from dse_cli.contracts.signature import SIGNATURE_ID_PATTERN

_NAME: Final = "lower-case letters, digits, '-' and '_', 64 at most"

_WORDS: Final = {
    SIGNATURE_ID_PATTERN: (
        "write @owner/folder/Name.vN, with a capital letter after the last '/', "
        "for example '@acme/desk/RouteTicket.v1'"
    ),
    r"^[a-z][a-z0-9_]{0,63}$": (
        "write lower-case letters, digits and '_', a letter first, for example 'search_orders'"
    ),
    r"^python:[A-Za-z_][\w.]*$": "write python:module.function, for example 'python:desk.search'",
    r"^[a-z0-9][a-z0-9-]*(/[a-z0-9][a-z0-9-]*)*$": (
        "write lower-case letters, digits and '-', in parts with '/', for example 'desk/tickets'"
    ),
    r"^[^.\s]+(\.[^.\s]+)*$": (
        "write the name of a field, or a path with dots and no spaces, for example 'address.city'"
    ),
    r"^[A-Za-z_][A-Za-z0-9_]{0,63}\.py:[A-Za-z_][A-Za-z0-9_]{0,99}$": (
        "write a file beside signature.yaml and a function in it, for example 'metrics.py:polite'"
    ),
    r"^[A-Za-z_][A-Za-z0-9_]*$": (
        "write the name of a parameter of the function, for example 'strict'"
    ),
    r"^(input|output|expected)(\.[^.\s]+)*$": (
        "write input, output or expected, with a path if need be, for example 'output.answer'"
    ),
    r"^sha256:[0-9a-f]{64}$": "write sha256: and 64 digits (0-9, a-f)",
    r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,199}$": (
        "write letters, digits and any of . _ : / -, for example 'ticket-0001'"
    ),
    r"^[a-z][a-z0-9_-]{0,40}$": (
        "write lower-case letters, digits, '-' and '_', a letter first, for example 'small'"
    ),
    r"^[A-Za-z0-9_.-]+/[^\s]+$": "write provider/model, for example 'openai/gpt-4.1-mini'",
    r"^[A-Z][A-Z0-9_]*$": (
        "write the name of an environment variable in capitals, for example 'OPENAI_API_KEY'"
    ),
    r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$": "write letters, digits and any of . _ -",
    r"^[a-z0-9][a-z0-9_-]{0,63}$": f"write {_NAME}, for example 'brackets'",
}


def pattern_hint(pattern: str) -> str:
    """Return what to write where a text has to match a pattern."""
    return _WORDS.get(pattern, f"it must match {pattern}")
