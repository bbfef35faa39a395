"""Writes that are whole or not at all, at every place where the machine can stop."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import AlteredError, InfrastructureError
from dse_cli.registry.atomic import remove_durably, write_atomic, write_once

STEPS = ("fsync", "replace", "fchmod")


def failing(monkeypatch: pytest.MonkeyPatch, name: str, at: int) -> None:
    """Let the call number ``at`` of an os function fail as on a full disk."""
    real: Callable[..., Any] = getattr(os, name)
    calls = 0

    def fake(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise OSError(28, "No space left on device")
        return real(*args, **kwargs)

    monkeypatch.setattr(os, name, fake)


def test_a_write_makes_folders_and_holds_exactly_the_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    assert write_atomic(path, b"one\r\n") is True
    assert path.read_bytes() == b"one\r\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_bytes_that_do_not_change_leave_the_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"one")
    os.utime(path, ns=(1, 1))
    before = path.stat()
    assert write_atomic(path, b"one") is False
    assert write_once(path, b"one") is False
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == (1, before.st_ino)


def test_the_umask_decides_the_mode_of_a_new_file_and_an_old_file_keeps_its_own(
    tmp_path: Path,
) -> None:
    old_mask = os.umask(0o027)
    try:
        path = tmp_path / "file"
        write_atomic(path, b"one")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o604)
        write_atomic(path, b"two")
        assert stat.S_IMODE(path.stat().st_mode) == 0o604
    finally:
        os.umask(old_mask)


@pytest.mark.parametrize("step", STEPS)
def test_a_failure_before_the_rename_leaves_the_old_bytes_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    failing(monkeypatch, step, 1)
    with pytest.raises(InfrastructureError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_failure_after_the_rename_leaves_the_new_bytes_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    failing(monkeypatch, "fsync", 2)  # the folder's
    with pytest.raises(InfrastructureError):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_an_interrupt_is_not_swallowed_and_leaves_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", b"new")
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    link = tmp_path / "link"
    link.symlink_to(outside)
    write_atomic(link, b"mine")
    assert not link.is_symlink()
    write_atomic(link, b"new")
    assert outside.read_bytes() == b"mine"


def test_a_second_write_once_with_other_bytes_is_refused_and_changes_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "compiled" / "file.json"
    assert write_once(path, b"one") is True
    with pytest.raises(AlteredError, match=r"compiled/file\.json exists with other bytes"):
        write_once(path, b"two")
    assert path.read_bytes() == b"one"


def test_a_removed_file_is_gone_and_removing_it_again_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert remove_durably(path) is True
    assert remove_durably(path) is False
