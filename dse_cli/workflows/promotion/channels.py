"""What stands in the channels of a signature, in words for ``dse list``, ``show`` and ``diff``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from dse_cli.contracts.errors import AlteredError
from dse_cli.registry.history import read_history, standing_target
from dse_cli.report.channel_text import canary_document, canary_text, counts_text, override_text
from dse_cli.workflows.promotion.canary import canary_status

if TYPE_CHECKING:
    from dse_cli.project.project import Project
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.policies import NamedPolicy

#: A policy can be looked at while two branches wait to be resolved.
_UNKNOWN: Final = "the history does not verify, 'dse check' says why"


class Channels(NamedTuple):
    """What is to be said of a signature's channels; empty when nothing is.

    Attributes:
        override: that the active policy is active by an override, and why.
        canary: the canary with its share and its counts.
    """

    override: str
    canary: str


@dataclass(frozen=True)
class ChannelNotes:
    """What is to be said of the channels beside a policy.

    Attributes:
        lines: for people.
        document: for machines.
    """

    lines: tuple[str, ...]
    document: dict[str, Any]


def channels_of(project: Project, store: SignatureStore) -> Channels:
    """Return what stands in the channels.

    Raises:
        AlteredError: ``canary.yaml`` does not read.
    """
    status = canary_status(project, store)
    canary = "" if status is None else f"canary {canary_text(status.pointer, status.counts)}"
    try:
        return Channels(override_text(read_history(store)), canary)
    except AlteredError:
        return Channels(_UNKNOWN, canary)


def override_of(store: SignatureStore, named: NamedPolicy) -> str:
    """Return that a policy is active by an override, and why; empty when it is not."""
    if named.ref.artifact is None:
        return ""
    try:
        history = read_history(store)
    except AlteredError:
        return _UNKNOWN
    return override_text(history) if standing_target(history) == named.ref else ""


def channel_notes(project: Project, store: SignatureStore, named: NamedPolicy) -> ChannelNotes:
    """Return what is to be said beside one policy of a signature."""
    override = override_of(store, named)
    status = canary_status(project, store)
    lines = [f"override    {override}"] if override else []
    document: dict[str, Any] = {"override": override} if override else {}
    if status is not None:
        lines.append(f"canary      {canary_text(status.pointer, status.counts)}")
        lines.append(f"active      {counts_text(status.counts.active)}, since the canary began")
        document["canary"] = canary_document(status.pointer, status.counts)
    return ChannelNotes(tuple(lines), document)
