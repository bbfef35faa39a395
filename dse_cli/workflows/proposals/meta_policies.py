"""Who answers the questions of an optimizer: a policy for each meta-signature that it asks.

As shipped, on the proposer's model; or a signature of the project that stands in, as authored or
as one of its compiled artifacts. All of it is found, checked and pinned before anything is spent,
and whatever is wrong is an error at its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.optimizers.proposals.meta_signatures import shipped_signature
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.runtime.policy import authored_policy
from dse_cli.workflows.pins.pin_loader import PinLoader, raise_pin_problems
from dse_cli.workflows.proposals.meta_checks import override_problems

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.job import CompileJob
    from dse_cli.contracts.meta import MetaName, MetaOverride
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.project.project import Project
    from dse_cli.project.specs import LoadedSignatureFile
    from dse_cli.project.yaml_document import YamlDocument
    from dse_cli.runtime.policy import Policy


@dataclass(frozen=True, slots=True)
class MetaPolicy:
    """A meta-signature with the policy that answers it.

    Attributes:
        name: which one.
        policy: pinned: signature, params and model.
        artifact: file of the compiled artifact that it is, None for a policy as authored.
        digest: of that file.
        pins_model: whether its signature or artifact names the model, not the job.
    """

    name: MetaName
    policy: Policy
    artifact: str | None = None
    digest: str | None = None
    pins_model: bool = False

    def model(self) -> str:
        """Return the resolved name of the model that answers."""
        return self.policy.model("main").model or ""

    def models(self) -> list[str]:
        """Return the resolved names of all models that may be asked, the answering one first."""
        repair = self.policy.model("repair").model or ""
        return list(dict.fromkeys([self.model(), repair]))


def load_meta(
    project: Project, job: CompileJob, document: YamlDocument, catalog: ModelCatalog
) -> tuple[MetaPolicy, ...]:
    """Return the policies of the meta-signatures that the job's optimizer asks, by name.

    None for an optimizer that is not known: who looks it up says so.

    Args:
        document: the job, for positions.
        catalog: must know the models that artifacts are pinned to.

    Raises:
        SpecError: every problem with every override, of an asked meta-signature or not.
        AlteredFileError: likewise, when an artifact is not what its hashes say.
    """
    registered = OPTIMIZERS.get(job.optimizer.id)
    asked = () if registered is None else registered.optimizer.meta
    model = catalog.resolve(job.models.proposer or job.models.main)
    problems: list[Diagnostic] = []
    loaded: list[MetaPolicy] = []
    for name in sorted({*asked, *job.meta}):
        override = job.meta.get(name)
        if override is None:
            shipped = shipped_signature(name)
            loaded.append(MetaPolicy(name, authored_policy(shipped, model=model)))
            continue
        loader = PinLoader(project, document, catalog, ("meta", name), "meta", problems)
        found = _load(loader, name, override, model)
        if found is not None:
            loaded.append(found)
    raise_pin_problems(problems)
    return tuple(one for one in loaded if one.name in asked)


def _load(
    loader: PinLoader, name: MetaName, override: MetaOverride, model: str
) -> MetaPolicy | None:
    """Return a stand-in, or None after recording why there is none."""
    loaded = loader.signature(override.signature)
    if loaded is None:
        return None
    for found in override_problems(name, loaded.signature):
        # Where the field stands, because there it is mended; the job only names the file.
        place = (found.location, "bad-meta", found.message, found.hint)
        loader.problems.append(loaded.document.diagnostic(*place, key=found.key))
    if override.artifact is None:
        return _authored(loader, name, loaded, model)
    pinned = loader.artifact(override.artifact, loaded)
    if pinned is None:
        return None
    return MetaPolicy(name, pinned.policy, pinned.file, pinned.digest, pins_model=True)


def _authored(
    loader: PinLoader, name: MetaName, loaded: LoadedSignatureFile, model: str
) -> MetaPolicy:
    """Return the policy of the signature file, on the proposer's model unless it names its own."""
    named = loaded.signature.spec.defaults.params.model
    policy = authored_policy(loaded.signature, model=model)
    loader.check_models(policy.models, ("signature",))
    return MetaPolicy(name, policy, pins_model=named is not None and named.model is not None)
