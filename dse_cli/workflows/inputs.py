"""Everything a job reads, loaded, checked and hashed before anything is spent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from dse_cli import __version__
from dse_cli.canonical import sha256_of
from dse_cli.contracts.dataset import Dataset, Row, rows_hash
from dse_cli.contracts.errors import NothingSelectedError, SpecError, UsageError
from dse_cli.contracts.job import CompileJob
from dse_cli.contracts.params import merge
from dse_cli.evaluation.datasets.dataset_loader import load_dataset
from dse_cli.evaluation.rewards.reward import Reward
from dse_cli.lm.catalog import ModelCatalog
from dse_cli.project.explain import said
from dse_cli.project.source_text import raise_sorted
from dse_cli.project.specs import load_dataset_spec, load_job, load_signature
from dse_cli.registry.store import SignatureStore
from dse_cli.runtime.policy import Policy
from dse_cli.workflows.checks.holdout_size import holdout_findings
from dse_cli.workflows.compiles.libraries import library_versions
from dse_cli.workflows.opening import authored_for
from dse_cli.workflows.optimizer_choice import with_optimizer
from dse_cli.workflows.proposals.meta_policies import load_meta
from dse_cli.workflows.rewards.judge_rows import judge_row_problem
from dse_cli.workflows.rewards.judges import load_judges
from dse_cli.workflows.rewards.metric_code import load_code, try_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.dataset import Split
    from dse_cli.contracts.signature import Signature
    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
    from dse_cli.project.project import Project
    from dse_cli.project.yaml_document import YamlDocument
    from dse_cli.workflows.proposals.meta_policies import MetaPolicy


@dataclass(frozen=True)
class JobInputs:
    """A signature with one of its jobs.

    Attributes:
        project: where it stands.
        name: folder under ``signatures/``.
        signature: the contract.
        job: the job, with overrides applied.
        job_document: its file, for positions.
        variant: None for ``compile.yaml``.
        dataset: all rows.
        reward: scores outputs.
        catalog: models of the project.
        base: the authored policy on the job's main model.
        overrides: what the command line changed of the job.
        judges: of the reward, pinned.
        meta: the meta-signatures that the optimizer asks, pinned.
        left_out: what the job lost to another optimizer of the command line, as dotted names.
    """

    project: Project
    name: str
    signature: Signature
    job: CompileJob
    job_document: YamlDocument
    variant: str | None
    dataset: Dataset
    reward: Reward
    catalog: ModelCatalog
    base: Policy
    overrides: dict[str, Any]
    judges: tuple[PinnedJudge, ...] = ()
    meta: tuple[MetaPolicy, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def store(self) -> SignatureStore:
        """The signature's artifacts."""
        paths = self.project.paths
        return SignatureStore(paths.artifact(self.name), paths.locks)

    def rows(self, split: Split) -> tuple[Row, ...]:
        """Return the rows of a split.

        Raises:
            NothingSelectedError: it is empty.
        """
        rows = self.dataset.split(split)
        if not rows:
            raise NothingSelectedError(
                f"the dataset {self.dataset.id} has no {split} rows",
                hint=f"give some rows the split {split!r} in datasets/",
            )
        return rows

    @cached_property
    def job_hash(self) -> str:
        """Hash of the job, overrides included."""
        return sha256_of(self.job.to_json())

    @cached_property
    def search_space_hash(self) -> str:
        return sha256_of(self.job.search_space.to_json())

    @cached_property
    def run_inputs(self) -> dict[str, Any]:
        """What decides the files of a compile besides the responses; its hash names the run.

        The revision of the whole dataset is among it although no holdout row is searched: it is
        written into the artifact, and one name must never mean two files.
        """
        train, val = self.dataset.split("train"), self.rows("val")
        libraries = library_versions(self.job.optimizer.id)
        return {
            "external": self.external_parameters,
            "dataset": self.dataset.revision,
            "signature": self.signature.contract_hashes,
            "base": self.base.id,
            "job": self.job_hash,
            "train": rows_hash(train),
            "val": rows_hash(val),
            "reward": self.reward.hash,
            "models": {
                role: self.catalog.identify(name).to_json() for role, name in self.models.items()
            },
            "compiler": __version__,
            **({"judges": self._judge_inputs} if self.judges else {}),
            **({"meta": self._meta_inputs} if self.meta else {}),
            **({"libraries": libraries} if libraries else {}),
        }

    @property
    def _meta_inputs(self) -> dict[str, Any]:
        return {
            meta.name: {
                "signature": meta.policy.signature.id,
                "compiled_id": meta.policy.id,
                "artifact": meta.digest,
                "models": [self.catalog.identify(name).to_json() for name in meta.models()],
            }
            for meta in self.meta
        }

    @property
    def _judge_inputs(self) -> list[dict[str, Any]]:
        return [
            {
                "index": judge.index,
                "signature": judge.policy.signature.id,
                "compiled_id": judge.policy.id,
                "artifact": judge.digest,
                "models": {
                    role: self.catalog.identify(name).to_json()
                    for role, name in _models_of(judge.policy).items()
                },
            }
            for judge in self.judges
        ]

    @property
    def external_parameters(self) -> dict[str, Any]:
        """What the user chose, as the receipt records it."""
        return {
            "signature": self.name,
            "job": self.job_document.name,
            "variant": self.variant,
            "overrides": self.overrides,
        }

    @cached_property
    def run_inputs_hash(self) -> str:
        return sha256_of(self.run_inputs)

    @cached_property
    def models(self) -> dict[str, str]:
        """Resolved model names by role; a role that has nothing to do is not among them."""
        asked = self.job.models
        aliases = {"embedder": asked.embedder, "teacher": asked.teacher}
        if any(not meta.pins_model for meta in self.meta):
            aliases["proposer"] = asked.proposer or asked.main
        more = {
            role: self.catalog.resolve(alias)
            for role, alias in aliases.items()
            if alias is not None
        }
        return {**_models_of(self.base), **more}


def _models_of(policy: Policy) -> dict[str, str]:
    roles = {"main": policy.model("main").model, "repair": policy.model("repair").model}
    if policy.selector is not None:
        roles["embedder"] = policy.selector.embedder
    return {role: name for role, name in roles.items() if name is not None}


def load_inputs(
    project: Project,
    name: str,
    *,
    variant: str | None = None,
    overrides: dict[str, Any] | None = None,
    catalog: ModelCatalog | None = None,
    any_holdout: bool = False,
    run_code: bool = True,
) -> JobInputs:
    """Load and check a signature, a job, its dataset and its reward.

    Args:
        overrides: fields of the job by name, as the command line sets them.
        catalog: models; the project's own when omitted.
        any_holdout: leave it to the gate to refuse a holdout that is too small: it knows which look
            is next, and whether a person overrides it.
        run_code: load Python metrics; else they are read and hashed only, and cannot score.

    Raises:
        UsageError: no such signature or job, or an override that the job cannot take.
        SpecError: with every problem found in a file.
    """
    loaded = load_signature(project, name)
    job, document = load_job(project, loaded.folder, variant)
    catalog = catalog or ModelCatalog(project.spec)
    job, left_out = _overridden(job, overrides or {})
    job = _resolved(job, catalog)
    code = load_code(project, loaded.folder, job.reward, document, run=run_code)
    reward = Reward(job.reward, code)
    _check_reward(reward, loaded.signature, document)
    judges = load_judges(project, reward, loaded.signature, document, catalog)
    reward = reward.pinned({judge.index: judge.policy.id for judge in judges})
    dataset = load_job_dataset(
        project, job.dataset, loaded.signature, reward, judges, any_holdout=any_holdout
    )
    if run_code:
        # Not on the holdout: what a metric prints or raises would show its rows outside a gate.
        try_code(reward, dataset.split("val") or dataset.split("train"), project)
    base = authored_for(project, loaded.signature, job, catalog)
    meta = load_meta(project, job, document, catalog)
    return JobInputs(
        project=project,
        name=loaded.folder,
        signature=loaded.signature,
        job=job,
        job_document=document,
        variant=variant,
        dataset=dataset,
        reward=reward,
        catalog=catalog,
        base=base,
        overrides=overrides or {},
        judges=judges,
        meta=meta,
        left_out=left_out,
    )


def load_job_dataset(
    project: Project,
    reference: str,
    signature: Signature,
    reward: Reward,
    judges: Sequence[PinnedJudge] = (),
    *,
    any_holdout: bool = False,
) -> Dataset:
    """Load a dataset and check every row against the signature and the reward.

    Raises:
        SpecError: a row does not fit, or (without ``any_holdout``) the holdout is too small for
            any gate.
    """
    spec, document = load_dataset_spec(project, reference)
    folder = (project.root / document.name).parent
    unjudged = judge_row_problem(judges)
    dataset = load_dataset(
        project.root,
        spec,
        signature,
        folder=folder,
        loose_fields=reward.loose_fields,
        row_problem=lambda row: reward.row_problem(row) or unjudged(row),
    )
    if not any_holdout:
        raise_sorted(holdout_findings(project, dataset, document))
    return dataset


def _overridden(job: CompileJob, overrides: dict[str, Any]) -> tuple[CompileJob, tuple[str, ...]]:
    """Return the job with its overrides, and what it lost to another optimizer."""
    if not overrides:
        return job, ()
    chosen = overrides.get("optimizer")
    optimizer = chosen.get("id") if isinstance(chosen, dict) else None
    # What is no name at all is refused below, with the rest of the job.
    written, left_out = with_optimizer(
        job, optimizer if isinstance(optimizer, str) else job.optimizer.id
    )
    try:
        return CompileJob.model_validate(merge(written, overrides)), left_out
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"the job cannot be changed like this: {where}: {said(first)}") from None


def _resolved(job: CompileJob, catalog: ModelCatalog) -> CompileJob:
    """Return the job with aliases in its knobs replaced by resolved model names."""
    aliases: Sequence[str] = job.search_space.knobs.get("model.model", ())
    if not aliases:
        return job
    names = tuple(catalog.resolve(alias) for alias in aliases)
    knobs = {**job.search_space.knobs, "model.model": names}
    space = job.search_space.model_copy(update={"knobs": knobs})
    return job.model_copy(update={"search_space": space})


def _check_reward(reward: Reward, signature: Signature, document: YamlDocument) -> None:
    problems = [
        document.diagnostic(
            ("reward", *problem.location), "bad-reward", problem.message, problem.hint
        )
        for problem in reward.check(signature)
    ]
    if problems:
        raise SpecError(problems)
