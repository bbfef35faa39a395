from __future__ import annotations

import os
from pathlib import Path

import pytest

from dse_cli.project.project import Project
from tests.workflows.desk import make_project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flushing matters to a power cut, which no test can make."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
