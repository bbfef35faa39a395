"""The judges of a reward: found, loaded, checked and pinned before anything is spent.

A judge is an ordinary signature of kind ``judge`` and one compiled artifact of it. Whatever is
wrong with either, or with what the judge is shown, is an error at its line of the job.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dse_cli.contracts.errors import AlteredError, DseError, SpecError, StaleError, UsageError
from dse_cli.contracts.metrics.judges import PairwiseJudge
from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
from dse_cli.project.names import resolve_reference
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.specs import load_signature
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.direct import refuse_tools
from dse_cli.runtime.policy import Policy
from dse_cli.workflows.rewards.judge_checks import judge_problems

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.metrics.judges import Judge
    from dse_cli.contracts.signature import Signature
    from dse_cli.evaluation.rewards.reward import Reward
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.project.document import Loc
    from dse_cli.project.project import Project
    from dse_cli.project.specs import LoadedSignatureFile
    from dse_cli.project.yaml_document import YamlDocument
    from dse_cli.registry.store import StoredArtifact


def load_judges(
    project: Project,
    reward: Reward,
    task: Signature,
    document: YamlDocument,
    catalog: ModelCatalog,
) -> tuple[PinnedJudge, ...]:
    """Return the judges of a reward, in its order.

    Args:
        reward: with its signals, not yet with the ids of its judges.
        task: whose outputs are judged.
        document: the job, for positions.
        catalog: must know the models that the judges are pinned to.

    Raises:
        SpecError: every problem with every judge.
        AlteredFileError: likewise, when an artifact is not what its hashes say.
    """
    problems: list[Diagnostic] = []
    judges: list[PinnedJudge] = []
    for index, config in reward.judges:
        loader = _Loader(project, document, catalog, index, config, problems)
        judge = loader.load(reward.signal_ids[index], task)
        if judge is not None:
            judges.append(judge)
    if any(problem.outcome == "altered" for problem in problems):
        raise AlteredFileError(problems)
    raise_sorted(problems)
    return tuple(judges)


@dataclass(frozen=True)
class _Loader:
    """Loads one judge; what is wrong goes to ``problems``."""

    project: Project
    document: YamlDocument
    catalog: ModelCatalog
    index: int
    config: Judge | PairwiseJudge
    problems: list[Diagnostic]

    def load(self, signal: str, task: Signature) -> PinnedJudge | None:
        """Return the judge, or None after recording why there is none."""
        before = len(self.problems)
        loaded = self._signature()
        if loaded is None:
            return None
        for found in judge_problems(self.config, loaded.signature, task):
            self._report(found.location, "bad-judge", found.message, found.hint, key=found.key)
        paths = self.project.paths
        store = SignatureStore(paths.artifact(loaded.folder), paths.locks)
        name = self._artifact_name(loaded, store)
        stored = None if name is None else self._artifact(name, store, loaded.signature)
        if name is None or stored is None:
            return None
        params = stored.artifact.params
        policy = Policy(loaded.signature, params, store.load_index(params))
        self._check_models(policy)
        if len(self.problems) > before:
            return None
        return PinnedJudge(
            index=self.index,
            signal=signal,
            config=self.config,
            policy=policy,
            name=loaded.folder,
            artifact=store.shown(name),
            digest=stored.digest,
        )

    def _signature(self) -> LoadedSignatureFile | None:
        written = self.config.signature
        try:
            folder = resolve_reference(written, self.project.signature_ids, what="signature")
            loaded = load_signature(self.project, folder)
            refuse_tools(loaded.signature)
        except UsageError as error:
            self._report(("signature",), "unknown-judge", error.message, error.hint)
            return None
        except SpecError as error:
            self.problems.extend(error.diagnostics)
            return None
        if loaded.signature.spec.kind != "judge":
            message = f"the signature {folder!r} is of kind task, and only a judge may judge"
            hint = f"write 'kind: judge' in signatures/{folder}/signature.yaml, or name a judge"
            self._report(("signature",), "not-a-judge", message, hint)
            return None
        return loaded

    def _artifact_name(self, loaded: LoadedSignatureFile, store: SignatureStore) -> str | None:
        folder, written = loaded.folder, self.config.artifact
        if written is None:
            message = f"the judge {folder!r} is not pinned to a compiled artifact"
            how = (
                f"run 'dse compile {folder}', then add the id that 'dse list {folder}' shows: "
                "'artifact: ID'"
            )
            self._report((), "unpinned-judge", message, how, key=True)
            return None
        try:
            return store.resolve(written)
        except UsageError as error:
            hint = error.hint
            if not store.list_artifacts():
                hint = f"{folder} was never compiled: run 'dse compile {folder}'"
            message = f"{error.message} of the judge {folder!r}"
            self._report(("artifact",), "unknown-artifact", message, hint)
        except AlteredError as error:
            self._report(("artifact",), "altered-judge", error.message, error.hint, outcome=error)
        return None

    def _artifact(
        self, name: str, store: SignatureStore, signature: Signature
    ) -> StoredArtifact | None:
        try:
            return store.load_artifact_for(name, signature)
        except StaleError as error:
            hint = f"run 'dse compile {store.name}', then put the new id here; or restore the "
            hint += "judge's signature"
            self._report(("artifact",), "stale-judge", error.message, hint, outcome=error)
        except AlteredError as error:
            self._report(("artifact",), "altered-judge", error.message, error.hint, outcome=error)
        return None

    def _check_models(self, policy: Policy) -> None:
        names = {policy.model("main").model or "", *policy.models}
        for name in sorted(names):
            try:
                self.catalog.identify(name)
            except DseError as error:
                message = f"the judge is pinned to the model {name!r}: {error.message}"
                self._report(("artifact",), "unknown-model", message, error.hint)

    def _report(
        self,
        location: Loc,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
        outcome: DseError | None = None,
    ) -> None:
        kind = "pairwise_judge" if isinstance(self.config, PairwiseJudge) else "judge"
        loc: Loc = ("reward", "signals", self.index, kind, *location)
        found = self.document.diagnostic(loc, code, message, hint, key=key)
        if outcome is not None:
            found = replace(found, outcome=outcome.outcome)
        self.problems.append(found)
