from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.lm.openai_server import OpenAiServer

# A loaded machine is not a bug of the code under test: no deadline, no complaint about slowness.
settings.register_profile(
    "gateway", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("gateway")


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """A running loopback server."""
    with OpenAiServer().running() as running:
        yield running
