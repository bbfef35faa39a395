"""Who answers the questions of an optimizer: a policy for each meta-signature that it asks.

As shipped, on the proposer's model; or a signature of the project that stands in, as authored or
as one of its compiled artifacts. All of it is found, checked and pinned before anything is spent,
and whatever is wrong is an error at its line.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import AlteredError, DseError, SpecError, StaleError, UsageError
from dse_cli.optimizers.proposals.meta_signatures import shipped_signature
from dse_cli.optimizers.registry import OPTIMIZERS
from dse_cli.project.names import resolve_reference
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.specs import load_signature
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.direct import refuse_tools
from dse_cli.runtime.policy import Policy, authored_policy
from dse_cli.workflows.proposals.meta_checks import override_problems

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.job import CompileJob
    from dse_cli.contracts.meta import MetaName, MetaOverride
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.project.document import Loc
    from dse_cli.project.project import Project
    from dse_cli.project.specs import LoadedSignatureFile
    from dse_cli.project.yaml_document import YamlDocument


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
        found = _Loader(project, document, catalog, name, override, problems).load(model)
        if found is not None:
            loaded.append(found)
    if any(problem.outcome == "altered" for problem in problems):
        raise AlteredFileError(problems)
    raise_sorted(problems)
    return tuple(one for one in loaded if one.name in asked)


@dataclass(frozen=True)
class _Loader:
    """Loads one override; what is wrong goes to ``problems``."""

    project: Project
    document: YamlDocument
    catalog: ModelCatalog
    name: MetaName
    override: MetaOverride
    problems: list[Diagnostic]

    def load(self, model: str) -> MetaPolicy | None:
        """Return the policy, or None after recording why there is none."""
        before = len(self.problems)
        loaded = self._signature()
        if loaded is None:
            return None
        for found in override_problems(self.name, loaded.signature):
            # Where the field stands, because there it is mended; the job only names the file.
            place = (found.location, "bad-meta", found.message, found.hint)
            self.problems.append(loaded.document.diagnostic(*place, key=found.key))
        meta = self._policy(loaded, model)
        return None if len(self.problems) > before else meta

    def _signature(self) -> LoadedSignatureFile | None:
        try:
            known = self.project.signature_ids
            folder = resolve_reference(self.override.signature, known, what="signature")
            loaded = load_signature(self.project, folder)
            refuse_tools(loaded.signature)
        except UsageError as error:
            self._report(("signature",), "unknown-meta", error.message, error.hint)
            return None
        except SpecError as error:
            self.problems.extend(error.diagnostics)
            return None
        return loaded

    def _policy(self, loaded: LoadedSignatureFile, model: str) -> MetaPolicy | None:
        written = self.override.artifact
        if written is None:
            named = loaded.signature.spec.defaults.params.model
            pins = named is not None and named.model is not None
            policy = authored_policy(loaded.signature, model=model)
            return self._checked(MetaPolicy(self.name, policy, pins_model=pins), "signature")
        paths = self.project.paths
        store = SignatureStore(paths.artifact(loaded.folder), paths.locks)
        try:
            file = store.resolve(written)
            stored = store.load_artifact_for(file, loaded.signature)
        except UsageError as error:
            hint = error.hint
            if not store.list_artifacts():
                hint = f"{loaded.folder} was never compiled: run 'dse compile {loaded.folder}'"
            message = f"{error.message} of {loaded.folder!r}"
            self._report(("artifact",), "unknown-artifact", message, hint)
        except StaleError as error:
            hint = f"run 'dse compile {loaded.folder}', then put the new id here; or restore its "
            hint += "signature"
            self._report(("artifact",), "stale-meta", error.message, hint, outcome=error)
        except AlteredError as error:
            self._report(("artifact",), "altered-meta", error.message, error.hint, outcome=error)
        else:
            params = stored.artifact.params
            policy = Policy(loaded.signature, params, store.load_index(params))
            found = MetaPolicy(self.name, policy, store.shown(file), stored.digest, True)
            return self._checked(found, "artifact")
        return None

    def _checked(self, meta: MetaPolicy, key: str) -> MetaPolicy:
        """Return ``meta`` after recording which of its models the project does not know."""
        for name in meta.models():
            try:
                self.catalog.identify(name)
            except DseError as error:
                message = f"it is pinned to the model {name!r}: {error.message}"
                self._report((key,), "unknown-model", message, error.hint)
        return meta

    def _report(
        self,
        location: Loc,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        outcome: DseError | None = None,
    ) -> None:
        found = self.document.diagnostic(("meta", self.name, *location), code, message, hint)
        if outcome is not None:
            found = replace(found, outcome=outcome.outcome)
        self.problems.append(found)
