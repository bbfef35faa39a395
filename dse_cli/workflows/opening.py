"""A signature opened for reading: its store, its models, and the policy as authored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.lm.catalog import ModelCatalog
from dse_cli.project.specs import load_job, load_signature
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.policy import Policy, authored_policy

if TYPE_CHECKING:
    from dse_cli.contracts.job import CompileJob
    from dse_cli.contracts.signature import Signature
    from dse_cli.project.project import Project


@dataclass(frozen=True)
class OpenSignature:
    """A signature of a project.

    Attributes:
        name: folder under ``signatures/``.
        signature: the contract.
        store: its artifacts.
        catalog: models of the project.
        authored: the policy of the signature file; see :func:`authored_for`.
    """

    name: str
    signature: Signature
    store: SignatureStore
    catalog: ModelCatalog
    authored: Policy


def open_signature(
    project: Project, name: str, *, catalog: ModelCatalog | None = None
) -> OpenSignature:
    """Load a signature and what belongs to it.

    Raises:
        UsageError: no such signature.
        SpecError: a file is wrong.
    """
    loaded = load_signature(project, name)
    catalog = catalog or ModelCatalog(project.spec)
    has_job = None in project.job_variants(loaded.folder)
    job = load_job(project, loaded.folder)[0] if has_job else None
    return OpenSignature(
        name=loaded.folder,
        signature=loaded.signature,
        store=SignatureStore(project.paths.artifact(loaded.folder), project.paths.locks),
        catalog=catalog,
        authored=authored_for(project, loaded.signature, job, catalog),
    )


def authored_for(
    project: Project, signature: Signature, job: CompileJob | None, catalog: ModelCatalog
) -> Policy:
    """Return the authored policy: on the models of ``compile.yaml``, or on the default model.

    One rule for every command, so that "the authored policy" is one policy with one id.
    """
    if job is None:
        return authored_policy(signature, model=catalog.resolve(project.settings().default_model))
    repair = None if job.models.repair is None else catalog.resolve(job.models.repair)
    return authored_policy(signature, model=catalog.resolve(job.models.main), repair_model=repair)
