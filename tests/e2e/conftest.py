from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.desk import NAME, DeskServer, write_project
from tests.e2e.running import Ran, Running, Zygote, environment, git, run_fresh, warm_process


@pytest.fixture(scope="session")
def _server() -> Iterator[DeskServer]:
    server = DeskServer()
    with server.running():
        yield server


@pytest.fixture
def server(_server: DeskServer) -> DeskServer:
    """The model's server, with nothing counted yet and the usual rule."""
    _server.reset()
    return _server


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with warm_process(tmp_path_factory.mktemp("zygote")) as started:
        yield started


@dataclass(frozen=True)
class Desk:
    """A project under git, and ways to run `dse` in it."""

    root: Path
    zygote: Zygote

    @property
    def env(self) -> dict[str, str]:
        return environment(self.root.parent)

    def dse(self, *args: str, code: int | None = 0, **env: str) -> Ran:
        """Run a command in a fork of a warm process."""
        return self.zygote.run(*args, cwd=self.root, env=self.env | env, code=code)

    def start(self, *args: str) -> Running:
        return self.zygote.start(*args, cwd=self.root, env=self.env)

    def fresh(self, *args: str, code: int | None = 0, stdin: str = "", **env: str) -> Ran:
        """Run a command in an interpreter of its own."""
        return run_fresh(*args, cwd=self.root, env=self.env | env, code=code, stdin=stdin)

    def commit(self) -> None:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-qm", "x")

    def status(self) -> str:
        return git(self.root, "status", "--porcelain")

    def written(self) -> dict[str, bytes]:
        """What stands under `artifacts/`, by name.

        Without what a killed process was writing: git ignores it, `dse check --fix` removes it.
        """
        home = self.root / "artifacts"
        return {
            path.relative_to(home).as_posix(): path.read_bytes()
            for path in sorted(home.rglob("*"))
            if path.is_file() and not path.match(".dse-*.tmp")
        }


@pytest.fixture
def desk(tmp_path: Path, server: DeskServer, zygote: Zygote) -> Desk:
    """A fresh project, committed."""
    root = write_project(tmp_path / "project", server.base)
    git(tmp_path, "init", "-q", str(root))
    made = Desk(root, zygote)
    made.commit()
    return made


@pytest.fixture(scope="session")
def _promoted(
    tmp_path_factory: pytest.TempPathFactory, _server: DeskServer, zygote: Zygote
) -> Path:
    home = tmp_path_factory.mktemp("promoted")
    root = write_project(home / "project", _server.base)
    git(home, "init", "-q", str(root))
    made = Desk(root, zygote)
    _server.reset()
    made.commit()
    made.dse("compile", NAME)
    made.dse("promote", NAME, "--latest")
    made.commit()
    return root


@pytest.fixture
def promoted(tmp_path: Path, _promoted: Path, server: DeskServer, zygote: Zygote) -> Desk:
    """A project whose policy was compiled and promoted, committed, with a warm cache."""
    root = tmp_path / "project"
    shutil.copytree(_promoted, root)
    return Desk(root, zygote)


@pytest.fixture(scope="session")
def clean_compile(_promoted: Path) -> Callable[[], dict[str, bytes]]:
    """What an undisturbed compile of the project leaves under `artifacts/`."""

    def read() -> dict[str, bytes]:
        home = _promoted / "artifacts"
        parts = ("/compiled/", "/receipts/")
        return {
            name: path.read_bytes()
            for path in sorted(home.rglob("*"))
            if path.is_file()
            and any(part in f"/{(name := path.relative_to(home).as_posix())}" for part in parts)
        }

    return read
