"""Stale evidence: what a policy was measured on is no longer what the tree holds.

For the active policy changed rows are an error with exit code 1, and a changed job is a warning.
They are no errors of integrity: nothing was forged, but the numbers that made the policy active
belong to other rows. New evidence is a new compile, or a gate that measured the active policy on
the rows as they are now, whatever its verdict: a candidate that loses must not leave the project
stale. An artifact that never was active is one warning; one that was active once is history. The
version of the compiler makes nothing stale.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from dse_cli.canonical import sha256_of
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import DseError, SpecError, UsageError
from dse_cli.registry.canary import read_canary
from dse_cli.registry.history import main_line, moves_active, read_history, record_digest
from dse_cli.registry.pointer import active_policy, read_active
from dse_cli.registry.receipts import read_receipt, run_of_artifact
from dse_cli.workflows.checks.stale_rows import RowChecks
from dse_cli.workflows.inputs import JobInputs, load_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dse_cli.contracts.artifact import Provenance
    from dse_cli.contracts.channel import CanaryPointer
    from dse_cli.contracts.diagnostic import Severity
    from dse_cli.contracts.history import GateEvidence
    from dse_cli.contracts.receipt import CompileReceipt
    from dse_cli.contracts.signature import Signature
    from dse_cli.project.project import Project
    from dse_cli.registry.history import History
    from dse_cli.registry.pointer import ActivePolicy
    from dse_cli.registry.store import SignatureStore


class Chosen(NamedTuple):
    """What the user chose for a run, as its receipt says."""

    variant: str | None
    overrides: dict[str, Any]


@dataclass
class JobsOfNow:
    """The jobs of one project as the tree holds them, each loaded once.

    Attributes:
        project: whose.
    """

    project: Project
    _loaded: dict[str, JobInputs | DseError] = field(default_factory=dict)

    def load(self, name: str, variant: str | None, overrides: dict[str, Any]) -> JobInputs:
        """Return a job with its inputs.

        Raises:
            DseError: what :func:`load_inputs` raises, each time again.
        """
        key = sha256_of([name, variant, overrides])
        if key not in self._loaded:
            try:
                self._loaded[key] = load_inputs(
                    self.project,
                    name,
                    variant=variant,
                    overrides=overrides,
                    run_code=self.project.trusts_code,
                )
            except DseError as error:
                self._loaded[key] = error
        found = self._loaded[key]
        if isinstance(found, DseError):
            raise found
        return found


def stale_findings(
    jobs: JobsOfNow,
    store: SignatureStore,
    signature: Signature,
    pins: Mapping[str, str] | None = None,
) -> list[Diagnostic]:
    """Return what is stale in a store; what cannot be read is reported elsewhere.

    Args:
        pins: where jobs pin artifacts, ``FILE:LINE`` by name.
    """
    try:
        active, history = active_policy(store, signature), read_history(store)
        canary = read_canary(store)
    except DseError:
        return []
    found: list[Diagnostic] = []
    if active is not None:
        found += _active_findings(jobs, store, active, history)
    return found + _waiting_findings(jobs, store, history, active, canary, pins=pins or {})


def measured_again(project: Project, store: SignatureStore) -> bool:
    """Tell whether a gate measured the active policy on the rows of now, as its baseline."""
    try:
        pointer, history = read_active(store), read_history(store)
        if pointer is None:
            return False
        inputs = JobsOfNow(project).load(store.name, *_chosen(_receipt(store, pointer.artifact)))
    except DseError:
        return False  # nothing can be said for it
    return _measured_again(history, pointer.compiled_id, inputs.dataset.revision)


def _active_findings(
    jobs: JobsOfNow, store: SignatureStore, active: ActivePolicy, history: History
) -> list[Diagnostic]:
    receipt = _receipt(store, active.pointer.artifact)
    chosen = _chosen(receipt)
    try:
        inputs = jobs.load(store.name, chosen.variant, chosen.overrides)
    except SpecError:
        return []  # reported as such, and of wrong rows nothing can be said
    except DseError as error:
        return [_job_gone(store, chosen, error)]
    found: list[Diagnostic] = []
    if not _measured_again(history, active.pointer.compiled_id, inputs.dataset.revision):
        gate = _gate_of(history)
        checks = RowChecks(inputs, _row_hint(store.name, chosen))
        found += checks.findings(active.artifact, gate, _train_hash(receipt))
    return [*found, *_job_findings(inputs, active.artifact.provenance)]


def _waiting_findings(
    jobs: JobsOfNow,
    store: SignatureStore,
    history: History,
    active: ActivePolicy | None,
    canary: CanaryPointer | None,
    *,
    pins: Mapping[str, str],
) -> list[Diagnostic]:
    """Return one warning for the artifacts that could be promoted and were measured elsewhere.

    What a job pins is in use, so it has a warning of its own.
    """
    known = {
        record.target.artifact
        for record in history
        if record.event != "refuse" and record.target is not None
    }
    known.add(active.pointer.artifact if active else None)
    known.discard(canary.artifact if canary else None)  # on trial, so it may be promoted
    stale: list[str] = []
    found: list[Diagnostic] = []
    for name in store.list_artifacts():
        if name in known:
            continue
        try:
            artifact = store.load_artifact(name).artifact
            inputs = jobs.load(store.name, *_chosen(_receipt(store, name)))
        except DseError:
            continue  # reported as what it is
        if artifact.provenance.dataset_revision == inputs.dataset.revision:
            continue
        if name in pins:
            found.append(_pinned_finding(store, name, pins[name]))
        else:
            stale.append(name)
    if not stale:
        return found
    one = len(stale) == 1
    what = "it was" if one else f"{len(stale)} artifacts were"
    message = f"{what} measured on other rows than the dataset has now, and never active"
    hint = f"run 'dse compile {store.name}' before a promotion, or delete "
    hint += "it with its receipt" if one else "them with their receipts"
    file = store.shown(stale[0] if one else "compiled")
    return [*found, _diagnostic(file, 0, "stale-rows", message, hint, warning=True)]


def _pinned_finding(store: SignatureStore, name: str, place: str) -> Diagnostic:
    message = "this pinned artifact was measured on other rows than its dataset has now"
    hint = f"run 'dse compile {store.name}', then put the new id at {place}, which pins this one"
    return _diagnostic(store.shown(name), 0, "stale-rows", message, hint, warning=True)


def _job_findings(inputs: JobInputs, then: Provenance) -> list[Diagnostic]:
    """Warn when the job of now is not the one that made the active policy."""
    if inputs.job_hash == then.job_hash and inputs.reward.hash == then.reward_hash:
        return []
    document = inputs.job_document
    part, more = "", ""
    if inputs.reward.hash != then.reward_hash:
        part, more = "reward", ": its scores are of another reward"
    elif inputs.search_space_hash != then.search_space_hash:
        part = "search_space"
    line = document.position((part,), key=True)[0] if part in document.value else 0
    what = part.replace("_", " ") or "job"
    message = f"the {what} changed since the active policy was compiled{more}"
    hint = f"run '{_compile(inputs.name, inputs.variant)}' to see what it gives now"
    return [_diagnostic(document.name, line, "stale-job", message, hint, warning=True)]


def _job_gone(store: SignatureStore, chosen: Chosen, error: DseError) -> Diagnostic:
    file = "compile.yaml" if chosen.variant is None else f"compile.{chosen.variant}.yaml"
    if isinstance(error, UsageError):
        message = f"the active policy was made by {file}, which is no longer there or cannot be "
        message += f"used: {error.message}"
    else:
        message = f"whether the active policy is stale cannot be told: {error.message}"
    pointer = store.shown("active.yaml")
    return _diagnostic(pointer, 0, "stale-job", message, "restore it from git", warning=True)


def _measured_again(history: History, compiled_id: str, revision: str) -> bool:
    """Tell whether a gate measured the active policy, as its baseline, on the rows of now."""
    return any(
        record.gate is not None
        and record.gate.dataset_revision == revision
        and not record.gate.baseline.scripted
        and record.source is not None
        and record.source.compiled_id == compiled_id
        for record in history
    )


def _gate_of(history: History) -> GateEvidence | None:
    """Return what made the active policy active, None when that was no gate."""
    moves = [record for record in main_line(history) if moves_active(record)]
    if moves and moves[-1].event == "rollback":
        target = moves[-1].target
        moves = [one for one in moves if one.event == "promote" and one.target == target]
    if not moves or moves[-1].event != "promote":
        return None
    note = moves[-1].canary
    if note is None:
        return moves[-1].gate
    # A canary was measured when it started.
    return next((one.gate for one in history if record_digest(one) == note.started), None)


def _receipt(store: SignatureStore, artifact: str) -> CompileReceipt | None:
    run = run_of_artifact(artifact)
    try:
        return None if run is None else read_receipt(store, run)
    except DseError:
        return None  # reported as missing or altered


def _chosen(receipt: CompileReceipt | None) -> Chosen:
    """Return the choices of a run; the plain job when its receipt does not say."""
    if receipt is None:
        return Chosen(None, {})
    stated = receipt.predicate.buildDefinition.externalParameters
    variant, overrides = stated.get("variant"), stated.get("overrides")
    return Chosen(
        variant if isinstance(variant, str) else None,
        overrides if isinstance(overrides, dict) else {},
    )


def _train_hash(receipt: CompileReceipt | None) -> str | None:
    if receipt is None:
        return None
    depends = receipt.predicate.buildDefinition.resolvedDependencies
    found = [one.digest.sha256 for one in depends if one.name == "train-rows"]
    return f"sha256:{found[0]}" if found else None


def _row_hint(name: str, chosen: Chosen) -> str:
    return (
        f"restore the rows from git, or measure again: '{_compile(name, chosen.variant)}', "
        f"then 'dse promote {name} --latest'"
    )


def _compile(name: str, variant: str | None) -> str:
    return f"dse compile {name}" + ("" if variant is None else f" --job {variant}")


def _diagnostic(
    file: str, line: int, code: str, message: str, hint: str, *, warning: bool
) -> Diagnostic:
    severity: Severity = "warning" if warning else "error"
    return Diagnostic(file, line, 0, code, message, hint, severity=severity, outcome="stale")
