"""``dse init``: placeholder."""
from __future__ import annotations

from pathlib import Path


def init_project(folder: Path) -> list[str]:
    """Write a project."""
    raise NotImplementedError
