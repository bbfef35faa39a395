"""RFC 8785 canonical JSON bytes and the sha256 ids made of them.

Every hash in DSE is ``"sha256:" + hex(sha256(canonical_bytes(value)))`` or, for a file, the same
over its bytes. Nothing else may invent a spelling of JSON that ends in a hash.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any, Final

_PREFIX: Final = "sha256:"
_LARGEST_INT: Final = 2**53 - 1
_FIRST_SURROGATE: Final = "\ud800"


class NotCanonicalError(ValueError):
    """The value has no RFC 8785 form: NaN, infinity, an integer beyond 2^53, or a foreign type."""


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 (JCS) bytes of a JSON value.

    Raises:
        NotCanonicalError: the value cannot be spelled in RFC 8785.
    """
    # Every model call is hashed, and the reference implementation is pure Python. It stays the
    # judge of everything that the short way does not spell, the errors included.
    try:
        return _spell(value).encode()
    except (_NotPlainError, TypeError, RecursionError, UnicodeEncodeError):
        return _reference_bytes(value)


def canonical_text(value: Any) -> str:
    """Return :func:`canonical_bytes` as text, for prompts and messages."""
    return canonical_bytes(value).decode()


def sha256_of_bytes(data: bytes) -> str:
    """Return ``sha256:<64 hex>`` of raw bytes."""
    return _PREFIX + hashlib.sha256(data).hexdigest()


def sha256_of_text(text: str) -> str:
    """Return ``sha256:<64 hex>`` of the UTF-8 bytes of a text."""
    return sha256_of_bytes(text.encode())


def sha256_of(value: Any) -> str:
    """Return ``sha256:<64 hex>`` of the canonical bytes of a JSON value."""
    return sha256_of_bytes(canonical_bytes(value))


def short(digest: str, length: int = 12) -> str:
    """Return the first ``length`` hex digits of a digest, as used in file names."""
    return digest.removeprefix(_PREFIX)[:length]


class _NotPlainError(Exception):
    """The short way does not spell this value; the reference implementation decides."""


def _spell(value: Any) -> str:
    """Return the RFC 8785 text of a value made of plain texts, numbers, lists and dicts.

    Raises:
        _NotPlainError: it holds something else, or a number that Python and RFC 8785 may spell
            differently.
        TypeError: keys that cannot be compared.
    """
    kind = type(value)
    if kind is str:
        return encode_basestring(value)
    if kind is dict:
        keys = sorted(value)
        return "{" + ",".join([f"{_spell_key(key)}:{_spell(value[key])}" for key in keys]) + "}"
    if kind is list or kind is tuple:
        return "[" + ",".join([_spell(item) for item in value]) + "]"
    if value is None:
        return "null"
    if kind is bool:
        return "true" if value else "false"
    if kind is int or kind is float:
        return _spell_number(value)
    raise _NotPlainError


@lru_cache(maxsize=4096, typed=True)  # the names of our own contracts, over and over
def _spell_key(key: Any) -> str:
    # RFC 8785 sorts by UTF-16 units, Python by code points. They differ from the surrogates on.
    if type(key) is str and (key.isascii() or max(key) < _FIRST_SURROGATE):
        return encode_basestring(key)
    raise _NotPlainError


def _spell_number(value: float) -> str:
    # Below 2^53 an integral float is an integer. Python and ECMAScript write the same shortest
    # digits, and both without an exponent from 1e-4 on (ECMAScript also from 1e-6 on).
    if -_LARGEST_INT <= value <= _LARGEST_INT:
        if value == int(value):
            return str(int(value))
        if abs(value) >= 1e-4:
            return repr(value)
    raise _NotPlainError


def _reference_bytes(value: Any) -> bytes:
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise NotCanonicalError(str(error) or "nested too deeply") from error
