"""The disk cache: changes what is paid, never what is decided."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import TYPE_CHECKING, Any

from dse_cli.lm.cache_folder import (
    CacheStats,
    CacheUnreadableError,
    cache_stats,
    clear,
    open_cache,
)
from dse_cli.lm.response_json import read_response

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dse_cli.contracts.lm import LmRequest, LmResponse
    from dse_cli.lm.layer import Layer

__all__ = ["CacheStats", "DiskCacheLayer", "cache_stats", "clear", "known_keys"]

_log = logging.getLogger(__name__)


class DiskCacheLayer:
    """Answers a request that was answered before; errors are never kept.

    Reads are synchronous: one indexed SQLite look-up costs less than handing it to a thread.
    Several processes may share the folder.

    Args:
        inner: asked on a miss.
        folder: made with mode 0700 on the first call.
        keep_scripted: also keep scripted responses; only for tests and benchmarks, because a real
            run would find them.

    Attributes:
        hits, misses: look-ups so far.
    """

    def __init__(self, inner: Layer, folder: Path, *, keep_scripted: bool = False) -> None:
        self._inner = inner
        self._folder = folder
        self._keep_scripted = keep_scripted
        self._cache: Any = None
        self._broken = False
        self.hits = 0
        self.misses = 0

    async def complete(self, request: LmRequest) -> LmResponse:
        found = self._look_up(request.key)
        if found is not None:
            self.hits += 1
            return found
        self.misses += 1
        response = await self._inner.complete(request)
        if self._keep_scripted or not response.scripted:
            self._store(request.key, response)
        return response

    async def aclose(self) -> None:
        if self._cache is not None:
            self._cache.close()
            self._cache = None
        await self._inner.aclose()

    def _look_up(self, key: str) -> LmResponse | None:
        from dse_cli.lm.safe_disk import UnsafeRowError

        cache = self._opened()
        if cache is None:
            return None
        try:
            text = cache.get(key)
            return None if text is None else decode_entry(text, key)
        except (UnsafeRowError, sqlite3.Error, ValueError, OSError) as error:
            _log.warning("cache: ignored the entry %s: %s", key, error)
            return None

    def _store(self, key: str, response: LmResponse) -> None:
        from diskcache import Timeout

        cache = self._opened()
        if cache is None:
            return
        try:
            cache.set(key, encode_entry(key, response))
        except (Timeout, sqlite3.Error, OSError) as error:  # a full disk must not end a run
            _log.warning("cache: could not keep %s: %s", key, error or "the database is busy")

    def _opened(self) -> Any:
        if self._cache is None and not self._broken:
            try:
                self._cache = open_cache(self._folder)
            except CacheUnreadableError as error:
                self._broken = True
                _log.warning(
                    "cache: not used, its database is damaged (%s); `dse cache clear` removes it",
                    error,
                )
        return self._cache


def known_keys(folder: Path, keys: Iterable[str]) -> set[str]:
    """Return which of some request keys a cache has an entry for; nothing is made or changed.

    A cache that is not there, or that cannot be read, knows none.
    """
    if not folder.is_dir():
        return set()
    try:
        cache = open_cache(folder)
    except CacheUnreadableError:
        return set()
    try:
        return {key for key in keys if key in cache}
    except (sqlite3.Error, OSError):
        return set()
    finally:
        cache.close()


def encode_entry(key: str, response: LmResponse) -> str:
    """Return the JSON text of an entry. It names its key, so that a swapped row shows."""
    return json.dumps({"key": key, "response": response.to_json()}, ensure_ascii=False)


def decode_entry(text: str, key: str) -> LmResponse:
    """Read an entry.

    Raises:
        ValueError: it is damaged or belongs to another key.
    """
    try:
        entry = json.loads(text)
        if entry["key"] != key:
            raise ValueError("it is the entry of another key")
        return read_response(entry["response"])
    except (TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"unexpected shape: {error}") from error
