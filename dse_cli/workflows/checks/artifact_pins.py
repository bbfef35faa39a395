"""Which artifacts jobs pin, and where: a pinned judge or proposer is in use, never active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import DseError
from dse_cli.contracts.metrics.judges import Judge, PairwiseJudge
from dse_cli.evaluation.rewards.reward_checks import signal_config
from dse_cli.project.names import resolve_reference
from dse_cli.project.specs import load_job
from dse_cli.registry.store import SignatureStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.job import CompileJob
    from dse_cli.project.document import Loc
    from dse_cli.project.project import Project


def artifact_pins(project: Project) -> dict[str, dict[str, str]]:
    """Return by folder of a signature and name of its artifact where a job pins it.

    A place is ``signatures/reply/compile.yaml:12``; of several the first. A job or a pin that does
    not read is said by who checks that.
    """
    pins: dict[str, dict[str, str]] = {}
    for name in project.signature_names():
        for variant in project.job_variants(name):
            try:
                job, document = load_job(project, name, variant)
            except DseError:
                continue
            for loc, signature, artifact in _pins_of(job):
                found = _pinned(project, signature, artifact)
                if found is not None:
                    place = f"{document.name}:{document.position(loc)[0]}"
                    pins.setdefault(found[0], {}).setdefault(found[1], place)
    return pins


def _pins_of(job: CompileJob) -> Iterator[tuple[Loc, str, str]]:
    """Yield where a job pins an artifact: its judges, then its meta-signatures."""
    for index, signal in enumerate(job.reward.signals):
        kind, config = signal_config(signal)
        if isinstance(config, Judge | PairwiseJudge) and config.artifact is not None:
            loc = ("reward", "signals", index, kind, "artifact")
            yield loc, config.signature, config.artifact
    for name, override in sorted(job.meta.items()):
        if override.artifact is not None:
            yield ("meta", name, "artifact"), override.signature, override.artifact


def _pinned(project: Project, signature: str, artifact: str) -> tuple[str, str] | None:
    """Return the folder of a signature and the name of its artifact; None when there is none."""
    try:
        folder = resolve_reference(signature, project.signature_ids, what="signature")
        store = SignatureStore(project.paths.artifact(folder), project.paths.locks)
        return folder, store.resolve(artifact)
    except DseError:
        return None
