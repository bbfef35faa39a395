from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from dse_cli.lm.no_network import NetworkBlockedError, no_network
from tests.lm.openai_server import OpenAiServer


def attempt(family: socket.AddressFamily, address: object) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as opened:
        opened.connect(address)  # type: ignore[arg-type]


def test_tcp_ipv6_unix_and_udp_are_blocked(tmp_path: Path) -> None:
    with no_network():
        for family, address in [
            (socket.AF_INET, ("127.0.0.1", 9)),
            (socket.AF_INET6, ("::1", 9)),
            (socket.AF_UNIX, str(tmp_path / "socket")),
        ]:
            with pytest.raises(NetworkBlockedError):
                attempt(family, address)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened,
            pytest.raises(NetworkBlockedError),
        ):
            opened.sendto(b"x", ("127.0.0.1", 9))
        with pytest.raises(NetworkBlockedError):
            socket.getaddrinfo("localhost", 80)


def test_other_threads_and_event_loops_are_blocked_too(server: OpenAiServer) -> None:
    port = int(server.base.split(":")[2].split("/")[0])
    caught: list[BaseException] = []

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", port)

    def work() -> None:
        try:
            asyncio.run(connect())
        except NetworkBlockedError as error:
            caught.append(error)

    with no_network():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(caught) == 1


def test_it_ends_and_nests(server: OpenAiServer) -> None:
    port = int(server.base.split(":")[2].split("/")[0])
    with no_network():
        with no_network():
            pass
        with pytest.raises(NetworkBlockedError):
            attempt(socket.AF_INET, ("127.0.0.1", port))
    attempt(socket.AF_INET, ("127.0.0.1", port))
