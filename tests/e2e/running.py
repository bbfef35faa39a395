"""Ways to run `dse`: a new interpreter, or a fork of a warm one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Nothing takes longer unless it hangs; then the test fails instead of waiting.
HANGS_AFTER_S = 120


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        value = json.loads(self.stdout)
        assert isinstance(value, dict)
        return value

    def __post_init__(self) -> None:
        assert "Traceback" not in self.stdout + self.stderr, self.stderr
        assert self.code != 70, self.stderr


def environment(home: Path, **changes: str) -> dict[str, str]:
    """Return an environment that holds nothing of the machine but where programs are."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "GIT_CONFIG_GLOBAL": os.devnull,
        **changes,
    }


def run_fresh(
    *args: str, cwd: Path, env: Mapping[str, str], stdin: str = "", code: int | None = 0
) -> Ran:
    """Run `python -m dse_cli` in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", "dse_cli", *args],
        cwd=cwd,
        env=dict(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=HANGS_AFTER_S,
        check=False,
    )
    ran = Ran(done.returncode, done.stdout, done.stderr)
    assert code is None or ran.code == code, f"{args}: {ran.code}\n{ran.stdout}\n{ran.stderr}"
    return ran


@dataclass
class Running:
    """A started command."""

    pid: int
    out: Path
    err: Path
    ended: threading.Event = field(default_factory=threading.Event)
    code: int | None = None

    def send(self, number: signal.Signals) -> None:
        if not self.ended.is_set():
            os.kill(self.pid, number)

    def wait(self) -> Ran:
        assert self.ended.wait(HANGS_AFTER_S), f"{self.pid} hangs"
        assert self.code is not None, "the warm process died"
        return Ran(self.code, self.out.read_text(), self.err.read_text())


class Zygote:
    """Starts commands as forks of a warm process; see `zygote.py`."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._folder = folder
        read, write = os.pipe()
        self._process = subprocess.Popen(
            [sys.executable, _SCRIPT, str(write)],
            stdin=subprocess.PIPE,
            pass_fds=[write],
            cwd=folder,
            env=dict(env),
        )
        os.close(write)
        self._answers = os.fdopen(read, "rb")
        assert self._read() == {"ready": True}
        self._tokens: dict[str, tuple[threading.Event, list[int]]] = {}
        self._running: dict[int, Running] = {}
        self._count = 0
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()

    def start(self, *args: str, cwd: Path, env: Mapping[str, str]) -> Running:
        """Start a command and return at once."""
        with self._lock:
            self._count += 1
            token = str(self._count)
        out, err = self._folder / f"{token}.out", self._folder / f"{token}.err"
        started, pids = threading.Event(), list[int]()
        self._tokens[token] = (started, pids)
        job = {
            "token": token,
            "args": args,
            "cwd": str(cwd),
            "env": dict(env),
            "stdout": str(out),
            "stderr": str(err),
        }
        stdin = self._process.stdin
        assert stdin is not None
        stdin.write(json.dumps(job).encode() + b"\n")
        stdin.flush()
        assert started.wait(HANGS_AFTER_S)
        assert pids, "the warm process died"
        return self._running[pids[0]]

    def run(self, *args: str, cwd: Path, env: Mapping[str, str], code: int | None = 0) -> Ran:
        """Run a command to its end."""
        ran = self.start(*args, cwd=cwd, env=env).wait()
        assert code is None or ran.code == code, f"{args}: {ran.code}\n{ran.stdout}\n{ran.stderr}"
        return ran

    def close(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        stdin.close()
        self._process.wait(HANGS_AFTER_S)
        self._reader.join(HANGS_AFTER_S)
        self._answers.close()

    def _read(self) -> dict[str, Any] | None:
        line = self._answers.readline()
        return json.loads(line) if line else None

    def _listen(self) -> None:
        while (message := self._read()) is not None:
            if "started" in message:
                pid, token = message["started"], message["token"]
                # Said before the start is told, and an end is only ever said after it.
                self._running[pid] = Running(
                    pid, self._folder / f"{token}.out", self._folder / f"{token}.err"
                )
                started, pids = self._tokens.pop(token)
                pids.append(pid)
                started.set()
            else:
                running = self._running[message["pid"]]
                running.code = message["code"]
                running.ended.set()
        # It is gone: nobody may wait for what it would have said.
        for started, _ in list(self._tokens.values()):
            started.set()
        for running in list(self._running.values()):
            running.ended.set()


_SCRIPT = str(Path(__file__).with_name("zygote.py"))


@contextmanager
def warm_process(folder: Path) -> Iterator[Zygote]:
    """Keep a warm process while the body runs."""
    zygote = Zygote(folder, environment(folder))
    try:
        yield zygote
    finally:
        zygote.close()


def git(project: Path, *args: str) -> str:
    """Run git in a project and return what it says."""
    program = shutil.which("git")
    assert program is not None
    settings: Sequence[str] = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(
        [program, *settings, *args],
        cwd=project,
        env=environment(project.parent),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
