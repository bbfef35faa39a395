"""A store to work on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.registry.builders import Project, make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing matters to a power cut, which no test can make; tests see that it is called."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
