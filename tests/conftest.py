"""Garbage is collected while tests run, not while they are collected.

Parsing a few hundred test files makes many objects that all stay. Besides, up to CPython 3.11.9 a
collection in the middle of ``ast.parse`` can end in a SystemError ("AST constructor recursion depth
mismatch", CPython issue 106905), and pytest parses every test file.
"""

from __future__ import annotations

import gc

import pytest

gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Collect garbage again, and what collecting tests left behind never."""
    gc.freeze()
    gc.enable()
