"""RFC 8785 canonical JSON bytes and the sha256 ids made of them.

Every hash in DSE is ``"sha256:" + hex(sha256(canonical_bytes(value)))`` or, for a file, the same
over its bytes. Nothing else may invent a spelling of JSON that ends in a hash.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import rfc8785

_PREFIX: Final = "sha256:"


class NotCanonicalError(ValueError):
    """The value has no RFC 8785 form: NaN, infinity, an integer beyond 2^53, or a foreign type."""


def canonical_bytes(value: Any) -> bytes:
    """Return the RFC 8785 (JCS) bytes of a JSON value.

    Raises:
        NotCanonicalError: the value cannot be spelled in RFC 8785.
    """
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError) as error:
        raise NotCanonicalError(str(error) or "nested too deeply") from error


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
