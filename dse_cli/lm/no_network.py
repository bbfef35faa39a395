"""Blocks every connection while a strict replay runs.

An audit hook sees connects that patches of ``socket.socket`` do not (``_socket``, C extensions that
go through Python). A hook cannot be removed, so it is installed on first use and then switched.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
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


class NetworkBlockedError(IntegrityError):
    """Something tried to reach the network, or a local socket, during a strict replay."""

    outcome = "network_blocked"


@dataclass(slots=True)
class _Switch:
    """Whether the hook is there, and how many replays want it on."""

    installed: bool = False
    depth: int = 0

    def hook(self, event: str, _arguments: tuple[Any, ...]) -> None:
        if self.depth and event in _BLOCKED:
            raise NetworkBlockedError(f"a strict replay must not use the network ({event})")


_switch = _Switch()


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse all connects (TCP, UDP, Unix sockets) and name look-ups of this process.

    Raises:
        NetworkBlockedError: from the call that tried, in any thread.
    """
    if not _switch.installed:
        sys.addaudithook(_switch.hook)
        _switch.installed = True
    _switch.depth += 1
    try:
        yield
    finally:
        _switch.depth -= 1
