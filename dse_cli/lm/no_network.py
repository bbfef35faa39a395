"""Blocks every connection while a strict replay runs.

An audit hook sees connects that patches of ``socket.socket`` do not (``_socket``, C extensions that
go through Python). A hook cannot be removed, so it is installed on first use and then switched.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from dse_cli.contracts.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BLOCKED: Final = frozenset(
    {
        "socket.connect",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "socket.gethostbyaddr",
        "socket.getnameinfo",
    }
)
_depth = 0
_installed = False


class NetworkBlockedError(IntegrityError):
    """Something tried to reach the network, or a local socket, during a strict replay."""

    outcome = "network_blocked"


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse all connects (TCP, UDP, Unix sockets) and name look-ups of this process.

    Raises:
        NetworkBlockedError: from the call that tried, in any thread.
    """
    global _depth, _installed
    if not _installed:
        sys.addaudithook(_hook)
        _installed = True
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _depth and event in _BLOCKED:
        raise NetworkBlockedError(f"a strict replay must not use the network ({event})")
