r"""Regular expressions that take time linear in the text, whatever the pattern.

Python's ``re`` tries one way after the other: ``(a+)+b`` on thirty letters takes minutes, and a
time limit would make a score depend on the machine. The validator of JSON Schema holds Rust's
``regex``, an automaton: no look-around and no back-references, and therefore no such pattern.
Letters mean what they mean in a JSON Schema ``pattern``: ``\d`` and ``\w`` are ASCII,
``\p{L}`` is any letter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema_rs import Draft202012Validator


def pattern_problem(pattern: str) -> str | None:
    """Return why a text is no pattern, in words; None if it is one."""
    import jsonschema_rs

    try:
        _whole(pattern)
    except (jsonschema_rs.ValidationError, ValueError):
        try:
            re.compile(pattern)
        except re.error as error:
            return str(error)
        return "it looks around, refers back, or grows too large, which takes more than linear time"
    return None


def fits_whole(pattern: str, text: str) -> bool:
    """Tell whether the whole of a text matches a pattern."""
    return _whole(pattern).is_valid(text)


@lru_cache(maxsize=64)
def _whole(pattern: str) -> Draft202012Validator:
    import jsonschema_rs

    options = jsonschema_rs.RegexOptions()
    # Alone first: a pattern like "a)(b" is one only within the parentheses that are put around it.
    jsonschema_rs.Draft202012Validator({"pattern": pattern}, pattern_options=options)
    return jsonschema_rs.Draft202012Validator(
        {"pattern": f"^(?:{pattern})$"}, pattern_options=options
    )
