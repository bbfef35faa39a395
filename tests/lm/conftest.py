from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lm.openai_server import OpenAiServer


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A running loopback server."""
    with OpenAiServer().running() as running:
        yield running
