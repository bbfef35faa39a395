"""Which artifacts are pinned as judges, and where: a judge is in use without ever being active."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.contracts.errors import DseError
from dse_cli.contracts.metrics.judges import Judge, PairwiseJudge
from dse_cli.evaluation.rewards.reward_checks import signal_config
from dse_cli.project.names import resolve_reference
from dse_cli.project.specs import load_job
from dse_cli.registry.store import SignatureStore

if TYPE_CHECKING:
    from dse_cli.project.project import Project


def judge_pins(project: Project) -> dict[str, dict[str, str]]:
    """Return by folder of the judge and name of its artifact where a job's reward pins it.

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
            for index, signal in enumerate(job.reward.signals):
                kind, config = signal_config(signal)
                if not isinstance(config, Judge | PairwiseJudge) or config.artifact is None:
                    continue
                found = _pinned(project, config.signature, config.artifact)
                if found is not None:
                    loc = ("reward", "signals", index, kind, "artifact")
                    place = f"{document.name}:{document.position(loc)[0]}"
                    pins.setdefault(found[0], {}).setdefault(found[1], place)
    return pins


def _pinned(project: Project, signature: str, artifact: str) -> tuple[str, str] | None:
    """Return the folder of the judge and the name of its artifact; None when there is none."""
    try:
        folder = resolve_reference(signature, project.signature_ids, what="signature")
        store = SignatureStore(project.paths.artifact(folder), project.paths.locks)
        return folder, store.resolve(artifact)
    except DseError:
        return None
