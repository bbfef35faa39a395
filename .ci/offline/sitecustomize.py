"""Cuts a Python process off the network: CI puts this folder on PYTHONPATH to replay offline.

An audit hook can not be removed by the code that it watches, and it sees connects that a patched
``socket.socket`` does not.
"""

from __future__ import annotations

import sys

BLOCKED = frozenset(
    {
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.sendmsg",
        "socket.sendto",
    }
)


def refuse(event: str, arguments: tuple[object, ...]) -> None:
    """Raise for every event that would leave the process through a socket."""
    if event in BLOCKED:
        raise PermissionError(f"ci: no network here ({event} {arguments[1:]!r})")


sys.addaudithook(refuse)
