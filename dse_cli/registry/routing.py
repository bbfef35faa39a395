"""Which requests are a canary's: a pure function of the salt, the signature and the request's key.

The same key always gets the same answer from one canary (sticky), a higher percentage keeps every
key that a lower one has (monotone), and another salt draws anew.
"""

from __future__ import annotations

import hashlib
from typing import Final

BUCKETS: Final = 10_000


def bucket_of(salt: str, signature_id: str, request_key: str) -> int:
    """Return the bucket of a request, 0 to 9,999, evenly distributed over keys.

    Args:
        request_key: what the caller says the request belongs to (a user, a thread); any text.
    """
    text = f"{salt}:{signature_id}:{request_key}".encode("utf-8", "surrogatepass")
    # 256 bits modulo 10,000: no bucket is favoured by more than 2^-242.
    return int.from_bytes(hashlib.sha256(text).digest()) % BUCKETS


def is_canary(salt: str, signature_id: str, request_key: str, percent: float) -> bool:
    """Tell whether a request belongs to the canary.

    Args:
        percent: share of the keys, 0 to 100, two decimals.
    """
    return bucket_of(salt, signature_id, request_key) < round(percent * BUCKETS / 100)
