"""One error in plain words: what was expected, what stands there, and what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from dse_cli.project.pattern_words import pattern_hint
from dse_cli.project.source_text import mask_secrets
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.document import Document, Loc
    from dse_cli.project.placed_error import PlacedError
    from dse_cli.project.schema_view import SchemaView

_SHOWN_LENGTH: Final = 40
_RANGE_ERRORS: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of"}
)
_SIZE_ERRORS: Final = frozenset(
    {"too_short", "too_long", "string_too_short", "string_too_long", "finite_number"}
)
_NUMBER_LIKE: Final = re.compile(r"[-+]?[0-9._]+([eE][-+]?[0-9]+)?|0[xo][0-9a-fA-F]+")
_NO_NUMBERS: Final = frozenset({".nan", "nan", ".inf", "inf", "infinity"})
#: What the items of a list are, and where all of them are described.
_KINDS: Final = {"signals": "metric", "penalties": "penalty"}
_KINDS_DESCRIBED: Final = "docs/metrics.md"
_MOST_NAMED: Final = 6
_BOOLEAN_LIKE: Final = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def is_consequence(placed: PlacedError, document: Document) -> bool:
    """Whether an error only follows from others: a list counts as short when items are wrong."""
    if placed.kind != "too_short":
        return False
    least = int(placed.error.get("ctx", {}).get("min_length", 0))
    return len(value_at(document, placed.loc)) >= least


def explain(placed: PlacedError, document: Document, view: SchemaView) -> Diagnostic:
    """Return the diagnostic of one error."""
    kind, loc = placed.kind, placed.loc
    if kind == "extra_forbidden":
        return _unknown_key(loc, document, view)
    if kind == "missing":
        return _missing_key(loc, document, view)
    if placed.error["loc"] and placed.error["loc"][-1] == "[key]":
        return _bad_key(placed, document)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _unknown_kind(placed, document, view)
    if kind in ("value_error", "assertion_error"):
        return _own_words(placed, document)
    return _wrong_value(placed, document, view)


def said(error: ErrorDetails) -> str:
    """Return the message of one Pydantic error, without what Pydantic puts before our own words."""
    cause = error.get("ctx", {}).get("error")
    return str(cause) if cause is not None else error["msg"].removeprefix("Value error, ")


def value_at(document: Document, loc: Loc) -> Any:
    """Return what stands at a location, or at its nearest known parent."""
    value = document.value
    for part in loc:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
    return value


def _unknown_key(loc: Loc, document: Document, view: SchemaView) -> Diagnostic:
    present = value_at(document, loc[:-1])
    known = view.keys(loc[:-1], document.value)
    unused = [key for key in known if key not in present]
    if loc[-1] in known:
        # Known to another branch of a union of one-key mappings (``{system: ..., rubric: ...}``).
        hint: str | None = f"one key for each item: start a new one with '- {loc[-1]}:'"
    else:
        hint = did_you_mean(str(loc[-1]), unused) or did_you_mean(
            str(loc[-1]), known, otherwise="known keys"
        )
    message = f"unknown key {_shown(str(loc[-1]))}{_inside(loc)}"
    return document.diagnostic(loc, "unknown-key", message, hint, key=True)


def _missing_key(loc: Loc, document: Document, view: SchemaView) -> Diagnostic:
    parent, key = loc[:-1], str(loc[-1])
    constant = view.constant(parent, document.value, key)
    if constant is not None:
        hint = f"add '{key}: {constant}'"
    else:
        expected = view.expected(loc, document.value)
        hint = f"add '{key}: ...', {expected}" if expected else f"add '{key}: ...'"
    message = f"missing key {key!r}{_inside(loc)}"
    return document.diagnostic(parent, "missing-key", message, hint, key=True)


def _bad_key(placed: PlacedError, document: Document) -> Diagnostic:
    context = placed.error.get("ctx", {})
    hint = None
    if "pattern" in context:
        hint = pattern_hint(str(context["pattern"]))
    elif "expected" in context:
        listed = re.findall(r"'([^']*)'", str(context["expected"]))
        hint = did_you_mean(str(placed.loc[-1]), listed, otherwise="expected one of")
    message = f"{_shown(str(placed.loc[-1]))} cannot be a key{_inside(placed.loc)}"
    return document.diagnostic(placed.loc, "invalid-key", message, hint, key=True)


def _unknown_kind(placed: PlacedError, document: Document, view: SchemaView) -> Diagnostic:
    """A mapping whose key (or discriminating field) names none of the known kinds."""
    loc, value = placed.loc, value_at(document, placed.loc)
    known = view.keys(loc, document.value)
    if not isinstance(value, dict) or not value:
        message = f"{_subject(loc)} must be a mapping with one key, but is {_got(value)}"
        hint = _one_of(known) if _kind_at(loc) is None else _some(known)
        return document.diagnostic(loc, "wrong-type", message, hint)
    context = placed.error.get("ctx", {})
    field = str(context.get("discriminator", "")).strip("'")
    tags = re.findall(r"'([^']*)'", str(context.get("expected_tags", ""))) or known
    if field in value:
        hint = did_you_mean(str(value[field]), tags, otherwise="expected one of")
        message = f"{field!r} is {_shown(str(value[field]))}, which is not known"
        return document.diagnostic((*loc, field), "wrong-value", message, hint)
    key = next(iter(value))
    kind = _kind_at(loc)
    if kind is not None:
        message = f"unknown {kind} {_shown(str(key))}"
        hint = did_you_mean(str(key), tags) or _some(tags)
        return document.diagnostic((*loc, key), "unknown-key", message, hint, key=True)
    hint = did_you_mean(str(key), tags, otherwise="expected one of")
    message = f"unknown key {_shown(str(key))}{_inside((*loc, key))}"
    return document.diagnostic((*loc, key), "unknown-key", message, hint, key=True)


def _own_words(placed: PlacedError, document: Document) -> Diagnostic:
    """A check of the contract itself: its message is already written for people."""
    message = said(placed.error)
    loc = placed.loc
    value = value_at(document, loc)
    if isinstance(value, dict):
        # A check over a whole mapping: point at the first key that its message talks about.
        loc = (*loc, *_named_in(message, value))
        return document.diagnostic(loc, "invalid-value", message, key=True)
    return document.diagnostic(loc, "invalid-value", f"{_subject(loc)}: {message}")


def _named_in(message: str, value: dict[str, Any]) -> Loc:
    """Return the path of the key that a message names: one level deeper only if quoted."""
    for word in re.findall(r"\w+", message):
        if word in value:
            return (word,)
    for word in re.findall(r"'([^']*)'", message):
        for key, child in value.items():
            if isinstance(child, dict) and word in child:
                return (key, word)
    return ()


def _wrong_value(placed: PlacedError, document: Document, view: SchemaView) -> Diagnostic:
    loc, value = placed.loc, value_at(document, placed.loc)
    if placed.kind == "string_pattern_mismatch":
        pattern = placed.error.get("ctx", {}).get("pattern", "")
        message = f"{_subject(loc)} cannot be {_got(value)}"
        return document.diagnostic(loc, "wrong-value", message, pattern_hint(str(pattern)))
    numeric = view.types(loc, document.value) & {"integer", "number"}
    if numeric and isinstance(value, str) and value.casefold().lstrip("+-") in _NO_NUMBERS:
        message = f"{_subject(loc)} is not a number: {_shown(value)}"
        hint = f"write a number such as {'0.5' if 'number' in numeric else '1'}"
        return document.diagnostic(loc, "wrong-type", message, hint)
    expected = view.expected(loc, document.value)
    if expected is None:
        message = f"{_subject(loc)}: {_lowered(placed.error['msg'])}, but is {_got(value)}"
    else:
        message = f"{_subject(loc)} must be {expected}, but is {_got(value)}"
    code = "wrong-value"
    if placed.about_type:
        code = "wrong-type"
    elif placed.kind in _RANGE_ERRORS or placed.kind in _SIZE_ERRORS:
        code = "out-of-range"
    return document.diagnostic(loc, code, message, _value_hint(loc, value, document, view))


def _value_hint(loc: Loc, value: Any, document: Document, view: SchemaView) -> str | None:
    types = view.types(loc, document.value)
    choices = [choice for choice in view.choices(loc, document.value) if isinstance(choice, str)]
    if isinstance(value, str):
        if match := did_you_mean(value, choices):
            return match
        if types & {"integer", "number"} and _NUMBER_LIKE.fullmatch(value):
            return "write numbers as in JSON (1000, 0.5, 1e-3) and without quotes"
        if "boolean" in types and value.casefold() in _BOOLEAN_LIKE:
            return f"write {_BOOLEAN_LIKE[value.casefold()]}"
    elif value is None:
        return "give it a value, or remove the key"
    elif isinstance(value, int | float) and "string" in types:
        return "put it in quotes"
    return None


def _subject(loc: Loc) -> str:
    if not loc:
        return "the file"
    if isinstance(loc[-1], str):
        return _shown(loc[-1])
    # Lists are counted from 1 for people.
    parent = next((part for part in reversed(loc) if isinstance(part, str)), None)
    of = f" of {_shown(parent)}" if parent is not None else ""
    return f"item {loc[-1] + 1}{of}"


def _inside(loc: Loc) -> str:
    """Return `` in 'parent'`` for a key that does not stand at the top."""
    return f" in {_subject(loc[:-1])}" if len(loc) > 1 else ""


def _got(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {_shown(value)}" if value else "an empty text"
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return str(value)


def _shown(text: str) -> str:
    # Masked before it is cut: half a key no longer looks like one.
    text = mask_secrets(text)
    return repr(text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "...")


def _one_of(known: list[str]) -> str | None:
    return f"expected one of: {', '.join(known)}" if known else None


def _kind_at(loc: Loc) -> str | None:
    """Return what an item of a list of kinds is called; None for any other place."""
    return _KINDS.get(str(loc[-2])) if len(loc) > 1 and isinstance(loc[-1], int) else None


def _some(known: list[str]) -> str:
    more = len(known) - _MOST_NAMED
    rest = f" and {more} more" if more > 0 else ""
    return f"one of {', '.join(known[:_MOST_NAMED])}{rest}: see {_KINDS_DESCRIBED}"


def _lowered(message: str) -> str:
    return message[:1].lower() + message[1:]
