"""What ``dse check`` says of a canary: whether the file is sound, and whether it should go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.canonical import short
from dse_cli.contracts.errors import DseError
from dse_cli.evaluation.views.words import counted
from dse_cli.project.specs import load_signature
from dse_cli.registry.canary import (
    canary_disagreement,
    canary_interrupted,
    canary_rendered,
    read_canary,
)
from dse_cli.registry.documents import read_bytes
from dse_cli.registry.findings import RESTORE, AlteredFileError, about_file
from dse_cli.registry.history import read_history
from dse_cli.registry.store import SignatureStore, stale_parts, stale_sentence
from dse_cli.workflows.opening import open_signature
from dse_cli.workflows.policies import find_policy
from dse_cli.workflows.promotion.canary import canary_status

if TYPE_CHECKING:
    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.project.project import Project


def canary_findings(project: Project, name: str) -> list[Diagnostic]:
    """Return every finding about the canary of a signature; what else is wrong is not said here.

    Args:
        name: folder of the signature.
    """
    store = SignatureStore(project.paths.artifact(name), project.paths.locks)
    try:
        pointer = read_canary(store)
    except AlteredFileError as error:
        return list(error.diagnostics)
    found: list[Diagnostic] = []
    try:
        found += _disagreement(store, pointer)
        if pointer is not None:
            found += [] if found else _formatting(store, pointer)
            found += _staleness(project, store, pointer)
            found += _trip(project, store)
            found += _baseline(project, store, pointer)
    except DseError:
        return found  # the history or a spec does not read: said by who checks that
    return found


def _disagreement(store: SignatureStore, pointer: CanaryPointer | None) -> list[Diagnostic]:
    history = read_history(store)
    sentence = canary_disagreement(store, history, pointer)
    if not sentence:
        return []
    if canary_interrupted(history, pointer):
        hint = "'dse check --fix' completes it, and so does the next 'dse promote'"
        return [about_file(store.shown("canary.yaml"), "interrupted-move", sentence, hint)]
    return [about_file(store.shown("canary.yaml"), "pointer-history", sentence, RESTORE)]


def _formatting(store: SignatureStore, pointer: CanaryPointer) -> list[Diagnostic]:
    file = store.shown("canary.yaml")
    rendered = canary_rendered(store, read_history(store), pointer)
    if read_bytes(store.canary_file, name=file) == rendered:
        return []
    message = "comments or formatting were edited; the canary itself is as recorded"
    hint = "'dse check --fix' writes it as 'dse promote' does"
    return [about_file(file, "active-formatting", message, hint, severity="warning")]


def _staleness(project: Project, store: SignatureStore, pointer: CanaryPointer) -> list[Diagnostic]:
    signature = load_signature(project, store.name).signature
    changed = stale_parts(store.load_artifact(pointer.artifact).artifact, signature)
    if not changed:
        return []
    message = f"the canary is stale, and nothing is served: {stale_sentence(changed)} "
    message += f"({store.shown(pointer.artifact)})"
    hint = f"'dse rollback {store.name} --channel canary --reason TEXT', or restore the signature"
    file = project.paths.relative(project.paths.signature_file(store.name))
    return [about_file(file, "stale", message, hint, outcome="stale")]


def _trip(project: Project, store: SignatureStore) -> list[Diagnostic]:
    status = canary_status(project, store)
    if status is None or (tripped := status.counts.tripped) is None:
        return []
    most = 100 * status.pointer.stop.max_error_rate
    message = (
        f"the canary gets no more requests: {counted(tripped.errors, 'error')} in "
        f"{counted(tripped.samples, 'sample')}, "
        f"more than {most:g} %"
    )
    return [_warning(store, "canary-tripped", message, _stop(store))]


def _baseline(project: Project, store: SignatureStore, pointer: CanaryPointer) -> list[Diagnostic]:
    opened = open_signature(project, store.name)
    active = find_policy(store, opened.signature, opened.authored, "active")
    if active.policy.id == pointer.baseline:
        return []
    message = (
        f"the canary was measured against {short(pointer.baseline)}, and "
        f"{short(active.policy.id)} is active now"
    )
    return [_warning(store, "canary-baseline", message, _stop(store))]


def _stop(store: SignatureStore) -> str:
    return f"'dse rollback {store.name} --channel canary --reason TEXT' ends it"


def _warning(store: SignatureStore, code: str, message: str, hint: str) -> Diagnostic:
    return about_file(
        store.shown("canary.yaml"), code, message, hint, severity="warning", outcome="canary"
    )
