"""Starts and ends the process that serves one embedded model."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.lm.embedded import child
from dse_cli.lm.embedded.cpus import usable_cpus
from dse_cli.lm.embedded.models import EmbeddedModel

_MOST_THREADS = 8  #: more do not make a model of this size faster
_END_WITHIN_S = 5.0
#: How long a thread spins at a barrier before it sleeps. Never (PASSIVE) costs a third of the speed
#: on quiet cores, and long spinning collapses fivefold beside a busy neighbour; measured in
#: docs/models.md.
_SPIN_COUNT = "1000"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a served model answers.

    Attributes:
        base_url: base of its OpenAI-compatible API, on loopback.
        api_key: random, for this process alone.
    """

    base_url: str
    api_key: str = field(repr=False)


class ModelProcess:
    """One running model."""

    def __init__(self, process: subprocess.Popen[str], endpoint: Endpoint) -> None:
        self._process = process
        self.endpoint = endpoint

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def end(self) -> None:
        """End it. Returns when it is gone; calling it again is harmless."""
        _end(self._process)


def start_process(model: EmbeddedModel, weights: Path) -> ModelProcess:
    """Load a model in a process of its own and return when it answers; takes one to three seconds.

    Raises:
        ModelUnavailableError: the extra is not installed, or the model cannot be loaded.
    """
    api_key = secrets.token_urlsafe(24)
    order = {
        "name": model.name,
        "path": str(weights),
        "context_tokens": model.context_tokens,
        "threads": min(usable_cpus(), _MOST_THREADS),
        "api_key": api_key,  # not in the arguments or the environment, which others can read
    }
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        process = _spawn(log)
        ready = False
        try:
            answer = _exchange(process, order)
            if "address" not in answer:
                raise _cannot_load(model, answer, process, log)
            ready = True
        finally:
            if not ready:
                process.kill()
                _end(process)
    return ModelProcess(process, Endpoint(f"{answer['address']}/v1", api_key))


def _spawn(log: IO[str]) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & environment.keys():
        environment |= {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": _SPIN_COUNT}
    return subprocess.Popen(  # noqa: S603 - our own file, our own interpreter
        # -P: a file called xllamacpp.py in the project's folder must not be imported.
        [sys.executable, "-P", str(Path(child.__file__))],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def _end(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(OSError):  # it may be gone already
        if process.stdin is not None:
            process.stdin.close()
    try:
        process.wait(timeout=_END_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _exchange(process: subprocess.Popen[str], order: dict[str, Any]) -> dict[str, str]:
    """Send the order, wait for the answer; an empty answer means that the process died."""
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the process was started without pipes")
    try:
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return dict(json.loads(process.stdout.readline()))
    except (OSError, ValueError):
        return {}


def _cannot_load(
    model: EmbeddedModel, answer: dict[str, str], process: subprocess.Popen[str], log: IO[str]
) -> ModelUnavailableError:
    if answer.get("kind") in {"ImportError", "ModuleNotFoundError"}:
        return ModelUnavailableError(
            f"the embedded model needs the extra [local]: {answer['error']}",
            hint="pip install 'dse-cli[local]'",
        )
    why = answer.get("error")
    if not why:
        process.wait(timeout=_END_WITHIN_S)
        log.seek(0)
        said = log.read().strip().splitlines()
        why = f"its process ended with {process.returncode}" + (f": {said[-1]}" if said else "")
    return ModelUnavailableError(
        f"cannot load {model.name}: {why}",
        hint=f"`dse models verify {model.alias}` checks the weights; it takes about"
        f" {2 * model.size / 1e9:.1f} GB of memory",
    )
