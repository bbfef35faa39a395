"""Loads a signature that a job names, and one compiled artifact of it, with errors at their line.

A judge and a stand-in for a meta-signature are named in the same way: a signature of the project,
and the artifact that it is pinned to. Whatever is wrong is recorded, so that all of it is seen at
once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from dse_cli.contracts.errors import AlteredError, DseError, SpecError, StaleError, UsageError
from dse_cli.project.names import resolve_reference
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.specs import load_signature
from dse_cli.registry.findings import AlteredFileError
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.direct import refuse_tools
from dse_cli.runtime.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.project.document import Loc
    from dse_cli.project.project import Project
    from dse_cli.project.specs import LoadedSignatureFile
    from dse_cli.project.yaml_document import YamlDocument


class PinnedArtifact(NamedTuple):
    """The policy of an artifact, its file as shown to people, and the file's digest."""

    policy: Policy
    file: str
    digest: str


@dataclass(frozen=True)
class PinLoader:
    """Loads what one place of a job names.

    Attributes:
        project: whose signatures are meant.
        document: the job.
        catalog: must know the models that an artifact is pinned to.
        place: of the mapping with the keys ``signature`` and ``artifact``.
        what: for the codes of errors, and for people: ``judge``.
        problems: what is wrong is added here.
    """

    project: Project
    document: YamlDocument
    catalog: ModelCatalog
    place: Loc
    what: Literal["judge", "meta"]
    problems: list[Diagnostic]

    def signature(self, written: str) -> LoadedSignatureFile | None:
        """Return the signature, or None after recording why there is none."""
        try:
            folder = resolve_reference(written, self.project.signature_ids, what="signature")
            loaded = load_signature(self.project, folder)
            refuse_tools(loaded.signature)
        except UsageError as error:
            self.report(("signature",), f"unknown-{self.what}", error.message, error.hint)
            return None
        except SpecError as error:
            self.problems.extend(error.diagnostics)
            return None
        return loaded

    def artifact(self, written: str, loaded: LoadedSignatureFile) -> PinnedArtifact | None:
        """Return the artifact that ``written`` means, or None after recording why there is none."""
        paths = self.project.paths
        store = SignatureStore(paths.artifact(loaded.folder), paths.locks)
        place, what = ("artifact",), self.what
        try:
            file = store.resolve(written)
            stored = store.load_artifact_for(file, loaded.signature)
        except UsageError as error:
            hint = error.hint
            if not store.list_artifacts():
                hint = f"{loaded.folder} was never compiled: run 'dse compile {loaded.folder}'"
            message = f"{error.message} of {loaded.folder!r}"
            self.report(place, "unknown-artifact", message, hint)
        except StaleError as error:
            hint = f"run 'dse compile {loaded.folder}', then put the new id here; or restore its "
            hint += "signature"
            self.report(place, f"stale-{what}", error.message, hint, outcome=error)
        except AlteredError as error:
            self.report(place, f"altered-{what}", error.message, error.hint, outcome=error)
        else:
            params = stored.artifact.params
            policy = Policy(loaded.signature, params, store.load_index(params))
            self.check_models(policy.models, place)
            return PinnedArtifact(policy, store.shown(file), stored.digest)
        return None

    def check_models(self, names: Iterable[str], place: Loc) -> None:
        """Record which of the models the project does not know."""
        for name in sorted(names):
            try:
                self.catalog.identify(name)
            except DseError as error:
                message = f"it is pinned to the model {name!r}: {error.message}"
                self.report(place, "unknown-model", message, error.hint)

    def report(
        self,
        location: Loc,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        key: bool = False,
        outcome: DseError | None = None,
    ) -> None:
        """Record what is wrong at a place below :attr:`place`."""
        loc: Loc = (*self.place, *location)
        found = self.document.diagnostic(loc, code, message, hint, key=key)
        if outcome is not None:
            found = replace(found, outcome=outcome.outcome)
        self.problems.append(found)


def raise_pin_problems(problems: Sequence[Diagnostic]) -> None:
    """Raise what was recorded, if anything was.

    Raises:
        AlteredFileError: an artifact is not what its hashes say.
        SpecError: anything else.
    """
    if any(problem.outcome == "altered" for problem in problems):
        raise AlteredFileError(problems)
    raise_sorted(list(problems))
