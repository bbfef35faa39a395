"""Which policy answers a request: the active one, or the canary for its share.

The policies are read once. Whether the canary still gets requests is decided from the receipts
alone, which every process of the project appends to, so all of them stop together and a restart
does not begin anew. Nothing is written into ``artifacts/``: that a canary tripped is reported, and
a person stops it.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.canonical import sha256_of_text
from dse_cli.evaluation.views.words import counted
from dse_cli.registry.canary import canary_policy
from dse_cli.registry.routing import is_canary
from dse_cli.registry.served import ReceiptCounter
from dse_cli.workflows.policies import NamedPolicy, find_policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from dse_cli.contracts.channel import CanaryPointer, ServedChannel
    from dse_cli.project.project import Project
    from dse_cli.workflows.opening import OpenSignature


def receipts_file(project: Project, name: str) -> Path:
    """Return where the receipts of a signature's predictions stand on this machine."""
    return project.paths.predictions / f"{name}.jsonl"


@dataclass(frozen=True)
class Route:
    """Where one request goes.

    Attributes:
        named: the policy that answers it.
        channel: by which pointer it was found.
        canary: salt of the canary that runs, or None.
        routing_key: hash of the request's key, None when there was no key and no canary.
    """

    named: NamedPolicy
    channel: ServedChannel
    canary: str | None = None
    routing_key: str | None = None


class Router:
    """Chooses the policy of each request.

    Args:
        opened: the signature.
        word: which policy; only ``active`` knows a canary.
        receipts: the receipts of its predictions.
        warn: is told once when the canary has too many errors.

    Raises:
        AlteredError, StaleError: a pointer is dangling, altered or stale; nothing is served.
    """

    def __init__(
        self,
        opened: OpenSignature,
        word: str,
        receipts: Path,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self.named = find_policy(opened.store, opened.signature, opened.authored, word)
        self._channel: ServedChannel = (
            "active" if word == "active" else "default" if word == "default" else "explicit"
        )
        self._signature_id = opened.signature.id
        self._canary: _RunningCanary | None = None
        found = canary_policy(opened.store, opened.signature) if word == "active" else None
        if found is not None:
            pointer = found.pointer
            named = find_policy(opened.store, opened.signature, opened.authored, pointer.artifact)
            self._canary = _RunningCanary(
                opened.name, named, pointer, receipts, warn or _python_warning
            )

    def route(self, key: str | None, input_hash: str) -> Route:
        """Return where a request goes.

        Args:
            key: what the caller says it belongs to; None routes by the input.
            input_hash: of the canonical input.
        """
        canary = self._canary
        if canary is None:
            hashed = None if key is None else sha256_of_text(key)
            return Route(self.named, self._channel, routing_key=hashed)
        request_key = input_hash if key is None else key
        hashed, salt = sha256_of_text(request_key), canary.pointer.salt
        mine = is_canary(salt, self._signature_id, request_key, canary.pointer.percent)
        if mine and not canary.has_tripped():
            return Route(canary.named, "canary", salt, hashed)
        return Route(self.named, "active", salt, hashed)


@dataclass(slots=True)
class _RunningCanary:
    name: str
    named: NamedPolicy
    pointer: CanaryPointer
    receipts: Path
    warn: Callable[[str], None]
    counter: ReceiptCounter | None = None
    tripped: bool = False

    def has_tripped(self) -> bool:
        """Tell whether the receipts hold too many errors of the canary; warn the first time."""
        if self.tripped:
            return True
        if self.counter is None:
            self.counter = ReceiptCounter(self.receipts, self.pointer.salt, self.pointer.stop)
        counts = self.counter.update().tripped
        if counts is not None:
            self.tripped = True
            self.warn(
                f"the canary of {self.name} gets no more requests: "
                f"{counted(counts.errors, 'error')} in {counted(counts.samples, 'sample')}, "
                f"more than {100 * self.pointer.stop.max_error_rate:g} %; "
                f"'dse rollback {self.name} --channel canary --reason TEXT' ends it"
            )
        return self.tripped


def _python_warning(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=2)
